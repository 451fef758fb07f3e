/* SPDX-License-Identifier: MIT */
/* The course of one request with its backend: dial or reuse, how it ends and why. */
#include "proxy/exchange.h"

#include <stdarg.h>
#include <stdio.h>

#include "net/dial.h"
#include "net/wait.h"
#include "process/pages.h"
#include "proxy/compose.h"
#include "proxy/exchange_run.h"

/* A tunnel in which much has moved, and then nothing for so long, gives memory back. */
#define EXCHANGE_REST_MS 500
/* A peer from which no acknowledgement comes for so long is gone: two minutes and some, for the
 * kernel may leave two minutes between one try and the next (TCP_RTO_MAX). */
#define EXCHANGE_GONE_MS 125000

void exchange_explain(struct run *x, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	/* a reason that is cut says enough */
	(void)vsnprintf(x->ret->reason, sizeof(x->ret->reason), format, ap);
	va_end(ap);
}

/* What the client is told instead of the reason; name is the backend's, or "". */
static void run_tell(struct run *x, const char *before, const char *name,
		     const char *after)
{
	(void)snprintf(x->ret->reply, sizeof(x->ret->reply), "%s%s%s", before, name,
		       after); /* fits: names are ours */
}

enum exchange_end exchange_fail(struct run *x, enum exchange_blame blame, unsigned status)
{
	x->ret->blame = blame;
	if (blame == EXCHANGE_GATE)
		run_tell(x, "the gate had an internal error", "", "");
	if (blame == EXCHANGE_CONFIG)
		run_tell(x, "the gate's configuration cannot be used", "", "");
	if (!x->answered) {
		x->ret->status = status;
		return EXCHANGE_REFUSED;
	}
	return x->reset_shows ? EXCHANGE_RESET : EXCHANGE_CUT;
}

/* RFC 9110 9.2.2, of the methods that are without a body as a rule. */
static bool is_idempotent(struct slice method)
{
	static const char *const names[] = { "GET", "HEAD", "OPTIONS", "PUT", "DELETE" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_eq(method, slice_str(names[i])))
			return true;
	return false;
}

/* Why a dial failed, for the client: d->why has addresses and files. */
static void run_tell_dial(struct run *x, enum dial_result result)
{
	const char *name = x->be->name;

	switch (result) {
	case DIAL_TIMED_OUT: run_tell(x, "timed out connecting to ", name, ""); break;
	case DIAL_REFUSED: run_tell(x, "", name, " refused the connection"); break;
	case DIAL_UNRESOLVED:
		run_tell(x, "cannot resolve the host name of ", name, "");
		break;
	case DIAL_TLS_FAILED: run_tell(x, "TLS handshake with ", name, " failed"); break;
	default: run_tell(x, "", name, " cannot be reached");
	}
}

/* Until it has a result, which is *ret; or -EPIPE for a reset of the client, or -errno. */
static int run_wait_dial(struct run *x, struct dial *d, enum dial_result *ret)
{
	struct pollfd p[] = {
		{ .fd = x->w->sigfd },
		{ .fd = x->w->client.fd }, /* POLLERR comes unasked */
		{ .fd = -1 },
	};

	*ret = dial_begin(d, x->be, x->w->cfg->connect_ms);
	while (*ret == DIAL_WAITING) {
		int n;

		p[2] = dial_poll(d);
		n = wait_poll(p, 3, clock_ms(), dial_deadline_ms(d));
		if (n < 0 && n != -ETIMEDOUT)
			return n;
		if (!p[2].revents && (p[1].revents & POLLERR))
			return -EPIPE;
		if (p[1].revents)
			p[1].fd = -1; /* a mere POLLHUP would spin */
		*ret = dial_step(d, p[2].revents);
	}
	return 0;
}

/* EXCHANGE_NEXT where the connection stands. */
static enum exchange_end run_dialled(struct run *x, struct dial *d,
				     enum dial_result result)
{
	switch (result) {
	case DIAL_CONNECTED:
		x->link->stream = stream_take(&d->stream);
		if (stream_is_loop(&x->link->stream, &x->w->client))
			return FAIL(x, EXCHANGE_CONFIG, 500,
				    "[%s] Url=%s points back to the gate itself",
				    x->be->section, x->be->url);
		return EXCHANGE_NEXT;
	case DIAL_MISCONFIGURED: return FAIL(x, EXCHANGE_CONFIG, 500, "%s", d->why);
	case DIAL_LOCAL_FAULT: return FAIL(x, EXCHANGE_GATE, 500, "%s", d->why);
	default:
		run_tell_dial(x, result);
		return FAIL(x, EXCHANGE_BACKEND, result == DIAL_TIMED_OUT ? 504 : 502,
			    "%s", d->why);
	}
}

static enum exchange_end run_dial(struct run *x)
{
	enum dial_result result;
	struct dial d;
	int r = run_wait_dial(x, &d, &result);

	if (r == 0)
		return run_dialled(x, &d, result);
	dial_done(&d);
	if (r == -ECANCELED)
		return FAIL(x, EXCHANGE_NOBODY, 503, "stopped by SIGTERM");
	if (r != -EPIPE)
		return FAIL(x, EXCHANGE_GATE, 500, "poll: %s", strerror(-r));
	exchange_explain(x, "the connection to the client failed: %s",
			 strerror(ECONNRESET));
	return EXCHANGE_GONE;
}

/* The flows' state before a byte of this request has moved. */
static void run_start(struct run *x, enum http1_framing framing, uint64_t length)
{
	struct wire *w = x->w;

	/* an answer cannot be there yet: the first look at it is a poll, but where TLS may
	 * have read ahead */
	x->link->stream.can_read = !stream_is_plain(&x->link->stream);
	flow_init(&x->relay.up, &w->client, &x->link->stream, &w->client_in, &w->up_out);
	flow_begin(&x->relay.up, framing, length, true);
	flow_init(&x->relay.down, &x->link->stream, &w->client, &w->backend_in,
		  &w->down_out);
	x->relay.down.waiting = true;
	x->scan = (struct lines_scan){ 0 };
}

/* A kept connection may have been closed just as it was used: once more, on a new one. */
static bool run_may_repeat(const struct run *x)
{
	return x->reused && x->repeatable && !x->answered &&
	       buf_len(&x->w->backend_in) == 0 && buf_len(&x->w->down_out) == 0;
}

static enum exchange_end run_repeat(struct run *x)
{
	enum exchange_end end;

	x->reused = false;
	link_drop(x->link);
	x->w->up_out.start = 0;
	x->w->up_out.end = x->sent_len;
	end = run_dial(x);
	if (end == EXCHANGE_NEXT)
		run_start(x, HTTP1_NO_BODY, 0);
	return end;
}

static const char *run_side(const struct run *x, enum relay_first side)
{
	return side == RELAY_UP ? "the client" : x->be->name;
}

static const struct stream *run_from(const struct run *x, enum relay_first side)
{
	return side == RELAY_UP ? x->relay.up.from : x->relay.down.from;
}

/*
 * Why a tunnel ended, where `failed` is the flow whose error ended it, or NULL. Whose end
 * came first is all that is known: who wanted it is in the frames.
 */
static void run_explain_tunnel(struct run *x, const struct flow *failed)
{
	enum relay_first first = x->relay.first;
	enum relay_first second = failed == &x->relay.up ? RELAY_UP : RELAY_DOWN;
	const char *why = failed ? stream_strerror(failed->from, failed->error) : "";

	if (first == RELAY_NEITHER)
		first = second;
	if (failed && first == second && !stream_ended(failed->from))
		exchange_explain(x, "the connection to %s failed: %s", run_side(x, first),
				 why);
	else if (first == RELAY_BOTH)
		exchange_explain(x, "both sides closed at the same time");
	else if (failed && first != second)
		exchange_explain(x,
				 "%s closed first, then the connection to "
				 "%s failed: %s",
				 run_side(x, first), run_side(x, second), why);
	else
		exchange_explain(x, "%s closed first%s", run_side(x, first),
				 run_from(x, first)->input == STREAM_CUT
					 ? ", without TLS close_notify"
					 : "");
}

static enum exchange_end run_client_failed(struct run *x)
{
	const struct flow *up = &x->relay.up;

	if (up->error == -EBADMSG)
		return FAIL(x, EXCHANGE_CLIENT, 400, "invalid request body: %s",
			    up->body.why);
	if (up->error == -ECONNABORTED && !x->relay.tunnel)
		return FAIL(x, EXCHANGE_CLIENT, 400, "incomplete request body%s",
			    up->from->input == STREAM_CUT ? ", without TLS close_notify"
							  : "");
	if (stream_is_local(up->error))
		return FAIL(x, EXCHANGE_GATE, 500,
			    "the connection to the client failed: %s",
			    strerror(-up->error));
	if (x->relay.tunnel)
		run_explain_tunnel(x, up);
	else
		exchange_explain(x, "the connection to the client failed: %s",
				 stream_strerror(&x->w->client, up->error));
	x->ret->status = x->answered ? x->answer.status : 0;
	return x->answered && x->reset_shows ? EXCHANGE_RESET : EXCHANGE_GONE;
}

static enum exchange_end run_backend_failed(struct run *x)
{
	const struct flow *down = &x->relay.down;

	if (run_may_repeat(x))
		return run_repeat(x);
	if (down->error == -EBADMSG)
		return FAIL(x, EXCHANGE_BACKEND, 502, "%s sent an invalid body: %s",
			    x->be->name, down->body.why);
	if (stream_is_local(down->error))
		return FAIL(x, EXCHANGE_GATE, 500, "the connection to %s failed: %s",
			    x->be->name, strerror(-down->error));
	if (x->relay.tunnel)
		run_explain_tunnel(x, down);
	else if (down->error == -ECONNABORTED)
		exchange_explain(
			x, "%s closed the connection before its response was complete%s",
			x->be->name,
			down->from->input == STREAM_CUT ? ", without TLS close_notify"
							: "");
	else
		exchange_explain(x, "the connection to %s failed: %s", x->be->name,
				 stream_strerror(&x->link->stream, down->error));
	return exchange_fail(x, EXCHANGE_BACKEND, down->error == -ETIMEDOUT ? 504 : 502);
}

/* A tunnel or an answer has come to its end. */
static enum exchange_end run_done(struct run *x)
{
	const struct flow *up = &x->relay.up;

	if (x->relay.tunnel) {
		run_explain_tunnel(x, NULL);
		return EXCHANGE_LAST;
	}
	if (!flow_ended(up) || up->deaf)
		return EXCHANGE_LAST;
	x->link->kept &=
		!stream_ended(&x->link->stream) && buf_len(&x->w->backend_in) == 0;
	link_rest(x->link);
	return x->close ? EXCHANGE_LAST : EXCHANGE_NEXT;
}

/* Why the relay stopped for good, as the end of the exchange. */
static enum exchange_end run_stopped(struct run *x, enum relay_end end)
{
	enum exchange_end stopped;

	switch (end) {
	case RELAY_DONE: return run_done(x);
	case RELAY_CLIENT_FAILED: return run_client_failed(x);
	case RELAY_ANSWER_TIMEOUT:
		return FAIL(x, EXCHANGE_BACKEND, 504,
			    "timed out waiting for the response head from %s",
			    x->be->name);
	case RELAY_BACKEND_TIMEOUT:
		return FAIL(x, EXCHANGE_BACKEND, 504,
			    "%s stalled in the middle of a body", x->be->name);
	case RELAY_CLIENT_TIMEOUT:
		return FAIL(x, EXCHANGE_CLIENT, 408,
			    "the client stalled in the middle of a body");
	case RELAY_LINGER_TIMEOUT:
		exchange_explain(x, "%s closed, then no data for LingerTimeoutSec=",
				 run_side(x, x->relay.first));
		return EXCHANGE_LAST;
	case RELAY_IDLE_TIMEOUT:
		exchange_explain(x, "no data for IdleTimeoutSec=");
		return EXCHANGE_LAST;
	case RELAY_TERMINATED:
		stopped = FAIL(x, EXCHANGE_NOBODY, 503, "stopped by SIGTERM");
		return x->relay.tunnel ? EXCHANGE_GONE : stopped;
	default: break;
	}
	return FAIL(x, EXCHANGE_GATE, 500, "poll: %s", strerror(errno));
}

/* Why the relay stopped, as the end of the exchange; EXCHANGE_NEXT with *again: it goes on. */
static enum exchange_end run_take(struct run *x, enum relay_end end, bool *again)
{
	enum exchange_end next = EXCHANGE_NEXT;

	switch (end) {
	case RELAY_INPUT:
		next = stream_ended(&x->link->stream) && run_may_repeat(x)
			       ? run_repeat(x)
			       : exchange_read_heads(x);
		break;
	case RELAY_RESTS:
		x->relay.rest_ms = EXCHANGE_REST_MS;
		wire_rest(x->w);
		pages_release(x->answer.field, sizeof(x->answer.field));
		pages_release_stack();
		break;
	case RELAY_BACKEND_FAILED: next = run_backend_failed(x); break;
	default: *again = false; return run_stopped(x, end);
	}
	*again = next == EXCHANGE_NEXT;
	return next;
}

/* Everything between a standing connection and the end of the exchange. */
static enum exchange_end run_relay(struct run *x, int (*opened)(void *), void *userdata)
{
	enum exchange_end end;
	bool again, was_tunnel;
	int r = 0;

	do {
		was_tunnel = x->relay.tunnel;
		end = run_take(x, relay_run(&x->relay), &again);
		if (again && x->relay.tunnel && !was_tunnel)
			r = opened(userdata);
	} while (again && r == 0);
	if (r < 0)
		end = FAIL(x, EXCHANGE_GATE, 500, "cannot tighten the sandbox: %s",
			   strerror(-r));
	if (x->relay.tunnel && end == EXCHANGE_RESET)
		stream_reset(&x->link->stream); /* the backend sees a reset, too */
	x->ret->tunnel = x->relay.tunnel;
	x->ret->up_bytes = x->relay.up.bytes;
	x->ret->down_bytes = x->relay.down.bytes;
	flow_done(&x->relay.up);
	flow_done(&x->relay.down);
	return end;
}

static void run_init(struct run *x, struct wire *w, const struct http1_head *h,
		     const struct verdict *v, struct exchange *ret)
{
	const struct field *key = http1_field(h, SLICE("Sec-WebSocket-Key"));

	x->w = w;
	x->be = &w->cfg->backend[v->backend];
	x->link = &w->link[v->backend];
	x->ret = ret;
	*ret = (struct exchange){ 0 };
	x->upgrade = v->kind == ROUTE_UPGRADE;
	x->head_method = slice_eq(h->method, SLICE("HEAD"));
	x->http10 = h->minor == 0;
	x->persistent = http1_persistent(h) && w->cfg->keep_alive_ms > 0;
	x->expect =
		!x->http10 && http1_has_token(h, SLICE("Expect"), SLICE("100-continue"));
	x->repeatable = is_idempotent(h->method) && !x->upgrade &&
			(h->framing == HTTP1_NO_BODY ||
			 (h->framing == HTTP1_LENGTH && h->length == 0));
	x->interim = 0;
	x->answered = x->close = x->reset_shows = false;
	if (x->upgrade)
		upgrade_accept(key->value, x->accept);
	x->relay = (struct relay){
		.sigfd = w->sigfd,
		.expects = x->expect,
		.answer_ms = x->upgrade ? w->cfg->upgrade_ms : w->cfg->response_ms,
		.body_ms = w->cfg->body_ms,
		.gone_ms = EXCHANGE_GONE_MS,
	};
}

enum exchange_end exchange_run(struct wire *w, const struct http1_head *h,
			       size_t head_len, const struct verdict *v,
			       int (*opened)(void *userdata), void *userdata,
			       struct exchange *ret)
{
	enum http1_framing framing =
		v->kind == ROUTE_UPGRADE ? HTTP1_NO_BODY : h->framing;
	enum exchange_end end = EXCHANGE_NEXT;
	uint64_t length = h->length;
	struct run x;
	int r;

	run_init(&x, w, h, v, ret);
	r = compose_request(h, v, x.be, &w->who, &w->up_out);
	if (r < 0)
		return FAIL(&x, EXCHANGE_CLIENT, 431,
			    r == -E2BIG ? COMPOSE_OPTIONS_MANY
					: "header fields are too large");
	x.sent_len = w->up_out.end;
	x.reused = !x.upgrade && link_reusable(x.link, x.repeatable);
	buf_consume(&w->client_in, head_len);
	if (!x.reused) {
		link_drop(x.link); /* an upgrade gets a connection of its own */
		end = run_dial(&x);
	}
	if (end == EXCHANGE_NEXT) {
		run_start(&x, framing, length);
		end = run_relay(&x, opened, userdata);
	}
	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		link_unwatch(&w->link[i]);
	w->up_out.start = w->up_out.end = 0;
	w->backend_in.start = w->backend_in.end = 0;
	if (end != EXCHANGE_NEXT || !x.link->kept)
		link_drop(x.link);
	return end;
}
