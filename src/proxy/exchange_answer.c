/* SPDX-License-Identifier: MIT */
/* The heads of a backend's answer: interim, final, or the 101 that opens a tunnel. */
#include "proxy/exchange_run.h"

#include <stdio.h>

#include "proxy/compose.h"

/* More interim answers than anybody has a use for. */
#define EXCHANGE_INTERIM_MAX 100
/* Of what a backend sends in place of HTTP, so many bytes are logged. */
#define EXCHANGE_SENT_MAX    63

/* Whether the client has sent more behind an upgrade that was not granted. */
static bool run_bytes_follow(struct wire *w)
{
	if (buf_len(&w->client_in) == 0 && !stream_ended(&w->client))
		(void)stream_read(&w->client, &w->client_in); /* an error: none came */
	return buf_len(&w->client_in) > 0;
}

/* Whether the client's connection cannot go on after this answer. */
static bool run_must_close(struct run *x, bool backend_persistent)
{
	const struct flow *up = &x->relay.up;
	bool body_left = !flow_ended(up);

	if (!x->persistent || x->http10 || x->answer.framing == HTTP1_UNTIL_CLOSE)
		return true;
	if (x->upgrade && run_bytes_follow(x->w))
		return true;
	/* a body that nobody will read, or that may never come (RFC 9110 10.1.1) */
	return up->deaf ||
	       (body_left && (!backend_persistent || (x->expect && up->bytes == 0)));
}

/* An answer's head, final or not, for the client. EXCHANGE_NEXT: go on. */
static enum exchange_end run_compose(struct run *x, const struct compose_how *how)
{
	struct buf *out = &x->w->down_out;
	size_t end = out->end;
	int r = compose_response(&x->answer, how, out);

	if (r == 0)
		return EXCHANGE_NEXT;
	out->end = end; /* a reply follows, not half a head */
	return FAIL(x, EXCHANGE_BACKEND, 502, "%s sent a response with %s", x->be->name,
		    r == -E2BIG ? COMPOSE_OPTIONS_MANY
				: "header fields that are too large");
}

/* The final answer's head, for the client; its body follows. EXCHANGE_NEXT: go on. */
static enum exchange_end run_answer(struct run *x)
{
	const struct http1_head *h = &x->answer;
	bool backend_persistent = http1_persistent(h) && h->framing != HTTP1_UNTIL_CLOSE;
	struct compose_how how = {
		.from = x->be,
		.chunked = h->framing == HTTP1_CHUNKED && !x->http10,
		.close = run_must_close(x, backend_persistent),
	};
	enum exchange_end end;

	end = run_compose(x, &how);
	if (end != EXCHANGE_NEXT)
		return end;
	x->answered = true;
	x->close = how.close;
	x->reset_shows = h->framing == HTTP1_UNTIL_CLOSE ||
			 (h->framing == HTTP1_CHUNKED && !how.chunked);
	x->ret->status = h->status;
	link_take_answer(x->link, h);
	x->relay.down_suffices = x->close && !flow_ended(&x->relay.up) &&
				 (!backend_persistent || x->expect);
	flow_begin(&x->relay.down, h->framing, h->length, how.chunked);
	return EXCHANGE_NEXT;
}

static enum exchange_end run_interim(struct run *x)
{
	const struct compose_how how = { .from = x->be };

	x->repeatable = false; /* something of an answer has come */
	if (x->interim++ == EXCHANGE_INTERIM_MAX)
		return FAIL(x, EXCHANGE_BACKEND, 502,
			    "%s sent too many interim responses", x->be->name);
	if (x->answer.status == 100 && x->relay.expects) {
		x->relay.expects = false;
		x->relay.up.moved_ms = clock_ms(); /* BodyTimeoutSec= begins */
	}
	return x->http10 ? EXCHANGE_NEXT : run_compose(x, &how);
}

/* A 101 that stands the check; from here on bytes are bytes. */
static enum exchange_end run_open_tunnel(struct run *x)
{
	const struct compose_how how = { .from = x->be };
	const struct config *cfg = x->w->cfg;
	const char *fault =
		x->upgrade ? upgrade_fault(&x->answer, x->accept) : "unsolicited 101";
	enum exchange_end end;

	if (fault)
		return FAIL(x, EXCHANGE_BACKEND, 502, "%s sent an invalid response: %s",
			    x->be->name, fault);
	end = run_compose(x, &how);
	if (end != EXCHANGE_NEXT)
		return end;
	x->answered = x->relay.tunnel = x->reset_shows = true;
	x->ret->status = 101;
	x->relay.linger_ms = cfg->linger_ms;
	x->relay.idle_ms = cfg->idle_ms;
	x->relay.rest_ms = 0; /* the heads have left their memory behind */
	flow_begin(&x->relay.up, HTTP1_UNTIL_CLOSE, 0, false);
	flow_begin(&x->relay.down, HTTP1_UNTIL_CLOSE, 0, false);
	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		if (&x->w->link[i] != x->link)
			link_drop(&x->w->link[i]); /* no other request follows */
	stream_keep_alive(&x->w->client);
	stream_keep_alive(&x->link->stream);
	return EXCHANGE_NEXT;
}

/* The answer's head cannot be had: why, as what lines_scan() said. */
static enum exchange_end run_no_head(struct run *x, ssize_t len)
{
	const char *name = x->be->name;

	if (len == -EMSGSIZE)
		return FAIL(x, EXCHANGE_BACKEND, 502,
			    "%s sent a response head longer than HeadMaxBytes=", name);
	if (len == -EBADMSG)
		return FAIL(x, EXCHANGE_BACKEND, 502, "%s sent an invalid response: %s",
			    name, x->scan.why);
	return FAIL(x, EXCHANGE_BACKEND, 502,
		    "%s closed the connection before its response%s%s", name,
		    buf_len(&x->w->backend_in) > 0 ? " was complete" : " began",
		    x->link->stream.input == STREAM_CUT ? ", without TLS close_notify"
							: "");
}

/* The first line that came, up to a NUL: what follows it may be a field with a cookie. */
static struct slice run_sent(struct slice in)
{
	if (in.len > EXCHANGE_SENT_MAX)
		in.len = EXCHANGE_SENT_MAX;
	in.len = slice_find(in, '\0');
	in.len = slice_find(in, '\r');
	in.len = slice_find(in, '\n');
	return in;
}

/*
 * No answer begins so. This is judged before the head is complete, for a server that greets
 * first waits for the client's greeting. Bytes behind a message that was HTTP are not logged:
 * they may be the rest of its body.
 */
static enum exchange_end run_no_http(struct run *x)
{
	struct slice in = buf_slice(&x->w->backend_in);

	if (x->reused || x->interim > 0)
		return FAIL(x, EXCHANGE_BACKEND, 502,
			    "%s sent an invalid response: no HTTP/1.1 status line",
			    x->be->name);
	(void)snprintf(x->ret->reply, sizeof(x->ret->reply),
		       "%s does not speak HTTP/1.1%s", x->be->name, http1_stranger(in));
	in = run_sent(in);
	if (in.len == 0)
		return FAIL(x, EXCHANGE_BACKEND, 502, "%s", x->ret->reply);
	return FAIL(x, EXCHANGE_BACKEND, 502, "%s (it sent \"%.*s\")", x->ret->reply,
		    SLICE_FMT(in));
}

enum exchange_end exchange_read_heads(struct run *x)
{
	struct slice method = x->head_method ? SLICE("HEAD") : SLICE("GET");
	struct buf *in = &x->w->backend_in;
	enum exchange_end end = EXCHANGE_NEXT;
	struct http1_fault fault;

	while (x->relay.down.waiting && end == EXCHANGE_NEXT) {
		ssize_t len;

		if (!http1_may_be_response(buf_slice(in)))
			return run_no_http(x);
		len = lines_scan(&x->scan, buf_slice(in), x->w->cfg->head_max);
		if (len == -EAGAIN && !stream_ended(&x->link->stream))
			break;
		if (len < 0)
			return run_no_head(x, len);
		if (http1_parse_response(
			    (struct slice){ in->data + in->start, (size_t)len }, method,
			    &x->answer, &fault) < 0)
			return FAIL(x, EXCHANGE_BACKEND, 502,
				    "%s sent an invalid response: %s", x->be->name,
				    fault.why);
		if (x->answer.status == 101)
			end = run_open_tunnel(x);
		else
			end = x->answer.status < 200 ? run_interim(x) : run_answer(x);
		buf_consume(in, (size_t)len);
		x->scan = (struct lines_scan){ 0 };
	}
	return end;
}
