/* SPDX-License-Identifier: MIT */
#include "proxy/exchange.h"

#include "http/lines.h"
#include "log/journal.h"
#include "process/pages.h"
#include "proxy/rewrite.h"

/* An idle tunnel gives memory back after this time. */
#define EXCHANGE_RELEASE_MS 500
/* A peer that acknowledges nothing for this time is gone; longer than TCP_RTO_MAX, two minutes. */
#define EXCHANGE_GONE_MS    125000

/* ---- the response's heads */

/* Reads once if no input is buffered; true if the client has sent more after its upgrade. */
static bool try_read_more(struct downstream *d)
{
	if (buf_len(&d->in) == 0 && !stream_ended(&d->stream))
		(void)stream_read(&d->stream, &d->in); /* no bytes after an error */
	return buf_len(&d->in) > 0;
}

/* Writes the response's head for the client. Returns 0, or -1 with the fault. */
static int exchange_write_head(struct exchange *x, bool chunked, bool close)
{
	const struct rewrite_mode mode = {
		.from = x->upstream->be,
		.chunked = chunked,
		.close = close,
		.id_line = x->id_line,
	};
	struct buf *out = &x->downstream->out;
	size_t end = out->end;
	int r = rewrite_response(x->upstream->response, &mode, out);

	if (r == 0)
		return 0;
	out->end = end; /* removes half a head: an error response follows */
	fault_set(&x->fault, FAULT_BACKEND, 502, "%s sent a response with %s",
		  x->upstream->be->name,
		  r == -E2BIG ? REWRITE_TOO_MANY : "header fields that are too large");
	fault_set_type(&x->fault, "http_response_header_section_size");
	return -1;
}

static int exchange_interim(struct exchange *x)
{
	if (x->upstream->response->status == 100 && x->relay.awaits_100) {
		x->relay.awaits_100 = false;
		flow_touch(&x->relay.up, clock_ms()); /* BodyTimeoutSec= begins */
	}
	return x->http10 || x->authorizes ? 0 : exchange_write_head(x, false, false);
}

/* With the response h: the rest of the request's body will not be read, or may never come (RFC 9110 10.1.1). */
static bool body_is_moot(const struct exchange *x, const struct http1_head *h)
{
	return !http1_persistent(h) || (x->expects && x->relay.up.bytes == 0);
}

/* The client's connection must end after the response h. */
static bool is_last(const struct exchange *x, const struct http1_head *h)
{
	const struct flow *up = &x->relay.up;

	if (!x->client_persists || h->framing == HTTP1_UNTIL_CLOSE)
		return true;
	if (x->upgrade && try_read_more(x->downstream)) /* meant for the tunnel */
		return true;
	if (flow_complete(up))
		return false;
	return up->state == FLOW_TARGET_CLOSED || body_is_moot(x, h);
}

int exchange_respond(struct exchange *x)
{
	const struct http1_head *h = x->upstream->response;
	bool chunked = h->framing == HTTP1_CHUNKED && !x->http10;
	/* only the end of the client's connection ends the body */
	bool until_close = h->framing == HTTP1_UNTIL_CLOSE ||
			   (h->framing == HTTP1_CHUNKED && x->http10);

	if (x->close) {
		fault_set(&x->fault, FAULT_BACKEND, h->status,
			  x->denied ? "%s does not authorize this session (%u)"
				    : "%s responded with %u instead of 101",
			  x->upstream->be->name, h->status);
		return -1;
	}
	x->last = is_last(x, h);
	if (exchange_write_head(x, chunked, x->last) < 0)
		return -1;
	x->status = h->status;
	x->end_if_failed = until_close ? EXCHANGE_RESET : EXCHANGE_CUT;
	x->relay.phase = RELAY_BODY;
	x->relay.response_suffices =
		x->last && !flow_complete(&x->relay.up) && body_is_moot(x, h);
	flow_begin(&x->relay.down, h->framing, h->length, chunked);
	return 0;
}

/* Returns 0, or -1 with the fault, for a 101 that must not open a tunnel. */
static int exchange_check_101(struct exchange *x)
{
	const struct http1_head *h = x->upstream->response;
	bool expected = x->upgrade && !x->authorizes;
	/* it is still there after it has been sent */
	struct slice request = { x->downstream->backend_out.data,
				 x->upstream->request_len };
	struct slice unoffered = SLICE("");
	const char *what, *why;

	why = expected ? upgrade_fault(h, x->accept) : "unsolicited 101";
	if (!why)
		unoffered = upgrade_unoffered(h, request, &what);
	if (!why && unoffered.len == 0)
		return 0;
	if (why) {
		fault_set(&x->fault, FAULT_BACKEND, 502,
			  "%s sent an invalid response: %s", x->upstream->be->name, why);
	} else {
		fault_set(&x->fault, FAULT_BACKEND, 502,
			  "%s sent an invalid response: 101 with an unoffered %s",
			  x->upstream->be->name, what);
		fault_show(&x->fault, "%s", x->fault.reason);
		fault_append(&x->fault, ": %.*s", SLICE_FMT(unoffered));
	}
	if (x->upgrade)
		fault_set_type(&x->fault, "http_upgrade_failed");
	return -1;
}

/* A 101 that passes the check opens the tunnel. */
static int exchange_open_tunnel(struct exchange *x)
{
	struct downstream *d = x->downstream;
	struct relay *r = &x->relay;
	const struct tunnel_setup setup = {
		.cfg = r->cfg,
		.random = d->random,
		.backend = x->upstream->be->name,
		.log_id = journal_id(),
		.null_fd = d->null_fd,
	};

	if (exchange_check_101(x) < 0)
		return -1;
	if (exchange_write_head(x, false, false) < 0)
		return -1;
	x->status = 101;
	x->tunnel = true;
	x->end_if_failed = EXCHANGE_RESET;
	r->phase = RELAY_TUNNEL;
	r->recheck = d->recheck;
	if (r->recheck)
		recheck_begin(r->recheck, clock_ms());
	tunnel_begin(&r->tunnel, &setup, &r->up, &r->down);
	stream_keep_alive(r->up.from);
	stream_keep_alive(r->down.from);
	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		if (&d->upstream[i] != x->upstream)
			upstream_close(&d->upstream[i]); /* no other request follows */
	return 0;
}

/* ---- the heads in turn */

/* After a head has come; true if the exchange ends or becomes a tunnel, with *ret. */
static bool exchange_on_head(struct exchange *x, enum exchange_end *ret)
{
	unsigned status = x->upstream->response->status;
	int r;

	if (status == 101)
		r = exchange_open_tunnel(x);
	else if (status < 200)
		r = exchange_interim(x);
	else
		r = x->authorizes ? exchange_judge(x) : exchange_respond(x);
	if (r != 0) {
		*ret = r < 0 ? exchange_failed(x) : EXCHANGE_AUTHORIZED;
		return true;
	}
	upstream_next(x->upstream);
	*ret = EXCHANGE_TUNNEL;
	return status == 101;
}

/* ---- the course */

/* Releases the memory that an idle tunnel does not need, and sends entries that the log has kept. */
static void exchange_release(struct exchange *x)
{
	struct http1_head *h = x->upstream->response;
	uint64_t *release_ms = &x->relay.tunnel.release_ms;

	if (journal_flush()) {
		*release_ms = EXCHANGE_RELEASE_MS; /* the first time came at once */
	} else { /* the log or systemd has no room: once more, after a longer and longer time */
		*release_ms = 2 * *release_ms + EXCHANGE_RELEASE_MS;
		x->relay.up.releasable = true;
	}
	downstream_release(x->downstream);
	pages_release(h->field, sizeof(h->field));
	pages_release_stack();
}

/* Relays until the exchange ends or becomes a tunnel. */
static enum exchange_end exchange_relay(struct exchange *x)
{
	enum exchange_end end;

	for (;;) {
		enum relay_result result = relay_run(&x->relay);

		if (result == RELAY_RELEASE)
			exchange_release(x);
		else if (result == RELAY_UNDECIDED)
			return EXCHANGE_UNDECIDED;
		else if (result != RELAY_RESPONSE)
			return exchange_stopped(x, result);
		else if (exchange_on_head(x, &end))
			return end;
	}
}

enum exchange_end exchange_tunnel(struct exchange *x)
{
	enum exchange_end end = exchange_relay(x);

	return end == EXCHANGE_UNDECIDED ? end : exchange_finish(x, end);
}

enum exchange_end exchange_abort(struct exchange *x, const char *failure, int error)
{
	fault_set(&x->fault, FAULT_GATE, 500, "%s: %s", failure, strerror(-error));
	return exchange_finish(x, exchange_failed(x));
}

/* ---- the start */

/* For a 101 of the gate's own. Returns false if it is no token, or has no room. */
static bool copy_protocol(const struct http1_head *h, char *ret, size_t size)
{
	struct slice first = upgrade_first_protocol(h);

	if (first.len >= size || (first.len > 0 && !lines_is_token(first)))
		return false;
	if (first.len > 0)
		memcpy(ret, first.p, first.len);
	ret[first.len] = '\0';
	return true;
}

static bool has_content(const struct http1_head *h)
{
	return h->framing != HTTP1_NO_BODY &&
	       !(h->framing == HTTP1_LENGTH && h->length == 0);
}

/* The request that the backend gets: the authorization request, or the client's own. */
static void exchange_init_request(struct exchange *x, const struct http1_head *h)
{
	const struct config *cfg = x->downstream->cfg;

	x->request = (struct upstream_request){
		.connect_ms = cfg->connect_ms,
		.head_max = cfg->head_max,
		.fault = &x->fault,
		.accepted = &x->downstream->stream,
	};
	if (x->authorizes) {
		x->request.repeatable = true;
		x->request.response_ms = cfg->authorize_ms;
		return;
	}
	x->request.is_head = x->no_content;
	x->request.new_connection = x->upgrade;
	x->request.repeatable =
		http1_is_idempotent(h->method) && !x->upgrade && !has_content(h);
	x->request.response_ms = x->upgrade ? cfg->upgrade_ms : cfg->response_ms;
}

static void exchange_init_relay(struct exchange *x, const struct http1_head *h)
{
	struct downstream *d = x->downstream;
	struct upstream *u = x->upstream;
	struct relay *r = &x->relay;

	*r = (struct relay){
		.cfg = d->cfg,
		.upstream = u,
		.sigfd = d->sigfd,
		.awaits_100 = x->expects,
		.gone_ms = EXCHANGE_GONE_MS,
	};
	flow_init(&r->up, &d->stream, &u->stream, &d->in, &d->backend_out);
	flow_init(&r->down, &u->stream, &d->stream, &d->backend_in, &d->out);
	if (!x->upgrade && !x->authorizes)
		flow_begin(&r->up, h->framing, h->length, true);
}

static void exchange_init(struct exchange *x, struct downstream *d,
			  const struct http1_head *h, size_t head_len,
			  const struct verdict *v, bool authorizes)
{
	const struct config *cfg = d->cfg;

	x->status = 0;
	x->tunnel = x->denied = false;
	fault_clear(&x->fault);
	x->head_len = head_len;
	x->authorizes = authorizes;
	x->no_content = slice_eq(h->method, SLICE("HEAD"));
	x->downstream = d;
	x->upstream = &d->upstream[authorizes ? CONFIG_NEXTJS : v->backend];
	x->end_if_failed = EXCHANGE_NO_RESPONSE;
	x->id_line = v->id_line;
	x->upgrade = v->kind == ROUTE_UPGRADE;
	x->http10 = h->minor == 0;
	/* the body of a request that is not authorized is not read */
	x->client_persists = http1_persistent(h) && cfg->keep_alive_ms > 0 &&
			     !x->http10 && !(authorizes && has_content(h));
	x->expects = !authorizes && !x->http10 &&
		     http1_has_token(h, SLICE("Expect"), SLICE("100-continue"));
	exchange_init_request(x, h);
	x->close = x->upgrade && v->backend == CONFIG_CONTROLLER &&
		   cfg->upgrade_errors == CONFIG_UPGRADE_ERRORS_CLOSE &&
		   copy_protocol(h, x->protocol, sizeof(x->protocol));
	if (x->upgrade)
		upgrade_accept(http1_field(h, SLICE("Sec-WebSocket-Key"))->value,
			       x->accept);
	exchange_init_relay(x, h);
}

/* The head of the request has been written to the backend's output, or r is why not. */
static enum exchange_end exchange_start(struct exchange *x, int r)
{
	struct downstream *d = x->downstream;
	enum exchange_end end;

	if (r < 0)
		end = EXCHANGE_FAIL(x, FAULT_CLIENT, 431,
				    r == -E2BIG ? REWRITE_TOO_MANY
						: "header fields are too large");
	else if (upstream_start(x->upstream, &x->request, &d->backend_in, &d->backend_out,
				&d->response) == UPSTREAM_FAILED)
		end = exchange_failed(x);
	else
		end = exchange_relay(x);
	return end == EXCHANGE_TUNNEL ? end : exchange_finish(x, end);
}

enum exchange_end exchange_authorize(struct exchange *x, struct downstream *d,
				     const struct http1_head *h, size_t head_len,
				     const struct verdict *v)
{
	enum exchange_end end;

	exchange_init(x, d, h, head_len, v, true);
	end = exchange_start(x, rewrite_authorization(h, v, x->upstream->be, &d->client,
						      d->cfg->authorize_path,
						      &d->backend_out));
	if (end != EXCHANGE_AUTHORIZED)
		buf_consume(&d->in, x->head_len);
	return end;
}

enum exchange_end exchange_run(struct exchange *x, struct downstream *d,
			       const struct http1_head *h, size_t head_len,
			       const struct verdict *v)
{
	int r;

	exchange_init(x, d, h, head_len, v, false);
	r = rewrite_request(h, v, x->upstream->be, &d->client, &d->backend_out);
	buf_consume(&d->in, head_len);
	return exchange_start(x, r);
}
