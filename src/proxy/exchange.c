/* SPDX-License-Identifier: MIT */
#include "proxy/exchange.h"

#include "process/pages.h"
#include "proxy/rewrite.h"
#include "proxy/tunnel.h"

/* An idle tunnel gives memory back after this time. */
#define EXCHANGE_RELEASE_MS 500
/* Longer than the pause between two retransmissions, TCP_RTO_MAX: up to two minutes. */
#define EXCHANGE_GONE_MS    125000

#define FAIL(x, blame, status, ...) \
	(fault_set(&(x)->fault, blame, status, __VA_ARGS__), exchange_failed(x))

/* The exchange ends with the fault: with an error response if one can still be sent. */
static enum exchange_end exchange_failed(struct exchange *x)
{
	if (x->end_if_failed == EXCHANGE_REFUSED)
		x->status = x->fault.status;
	return x->end_if_failed;
}

/* ---- the response's heads */

/* True if the client has sent more after an upgrade, which the backend has not accepted. */
static bool bytes_follow(struct downstream *d)
{
	if (buf_len(&d->in) == 0 && !stream_ended(&d->stream))
		(void)stream_read(&d->stream, &d->in); /* after an error there are none */
	return buf_len(&d->in) > 0;
}

/* Writes the response's head for the client. Returns 0, or -1 with the fault. */
static int exchange_write_head(struct exchange *x, bool chunked, bool close)
{
	const struct rewrite_mode mode = {
		.from = x->up->be,
		.chunked = chunked,
		.close = close,
	};
	struct buf *out = &x->down->out;
	size_t end = out->end;
	int r = rewrite_response(x->up->response, &mode, out);

	if (r == 0)
		return 0;
	out->end = end; /* removes half a head: an error response follows */
	fault_set(&x->fault, FAULT_BACKEND, 502, "%s sent a response with %s",
		  x->up->be->name,
		  r == -E2BIG ? REWRITE_TOO_MANY : "header fields that are too large");
	return -1;
}

static int exchange_interim(struct exchange *x)
{
	if (x->up->response->status == 100 && x->relay.expects) {
		x->relay.expects = false;
		flow_touch(&x->relay.up, clock_ms()); /* BodyTimeoutSec= begins */
	}
	return x->request.http10 ? 0 : exchange_write_head(x, false, false);
}

/* The final response: writes its head and prepares for its body. */
static int exchange_respond(struct exchange *x)
{
	const struct http1_head *h = x->up->response;
	bool more = x->request.kind == REQUEST_UPGRADE && bytes_follow(x->down);
	struct response_plan plan;

	response_plan(&x->request, h, &x->relay.up, more, &plan);
	if (exchange_write_head(x, plan.chunked, plan.last) < 0)
		return -1;
	x->status = h->status;
	x->last = plan.last;
	x->end_if_failed = plan.needs_reset ? EXCHANGE_RESET : EXCHANGE_CUT;
	x->relay.phase = RELAY_BODY;
	x->relay.response_suffices = plan.suffices;
	flow_begin(&x->relay.down, h->framing, h->length, plan.chunked);
	return 0;
}

/* A 101 that passes the check opens the tunnel. */
static int exchange_open_tunnel(struct exchange *x)
{
	struct downstream *d = x->down;
	const char *wrong = x->request.kind == REQUEST_UPGRADE
				    ? upgrade_fault(x->up->response, x->accept)
				    : "unsolicited 101";

	if (wrong) {
		fault_set(&x->fault, FAULT_BACKEND, 502,
			  "%s sent an invalid response: %s", x->up->be->name, wrong);
		return -1;
	}
	if (exchange_write_head(x, false, false) < 0)
		return -1;
	x->status = 101;
	x->tunnel = true;
	x->end_if_failed = EXCHANGE_RESET;
	tunnel_begin(&x->relay);
	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		if (&d->upstream[i] != x->up)
			upstream_close(&d->upstream[i]); /* no other request follows */
	return 0;
}

/* After a head has come; true if the exchange ends or becomes a tunnel, with *ret. */
static bool exchange_on_head(struct exchange *x, enum exchange_end *ret)
{
	unsigned status = x->up->response->status;
	int r;

	if (status == 101)
		r = exchange_open_tunnel(x);
	else
		r = status < 200 ? exchange_interim(x) : exchange_respond(x);
	if (r < 0) {
		*ret = exchange_failed(x);
		return true;
	}
	upstream_next(x->up);
	*ret = EXCHANGE_TUNNEL;
	return status == 101;
}

/* ---- the end */

static enum exchange_end exchange_client_failed(struct exchange *x)
{
	const struct flow *up = &x->relay.up;

	if (up->failure == FLOW_INVALID)
		return FAIL(x, FAULT_CLIENT, 400, "invalid request body: %s",
			    up->body.why);
	if (up->failure == FLOW_INCOMPLETE)
		return FAIL(x, FAULT_CLIENT, 400, "incomplete request body%s",
			    stream_cut_note(up->from));
	if (stream_is_local(up->error))
		return FAIL(x, FAULT_GATE, 500, "the connection to the client failed: %s",
			    strerror(-up->error));
	if (x->tunnel)
		tunnel_explain(&x->relay, up, FAULT_NOBODY, &x->fault);
	else
		fault_set(&x->fault, FAULT_NOBODY, 0,
			  "the connection to the client failed: %s",
			  stream_strerror(up->from, up->error));
	return x->end_if_failed == EXCHANGE_RESET ? EXCHANGE_RESET : EXCHANGE_GONE;
}

static enum exchange_end exchange_backend_failed(struct exchange *x)
{
	const struct flow *down = &x->relay.down;
	const char *name = x->up->be->name;

	if (down->failure == FLOW_INVALID)
		return FAIL(x, FAULT_BACKEND, 502, "%s sent an invalid body: %s", name,
			    down->body.why);
	if (down->failure == FLOW_INCOMPLETE)
		return FAIL(x, FAULT_BACKEND, 502,
			    "%s closed the connection before its response was complete%s",
			    name, stream_cut_note(down->from));
	if (stream_is_local(down->error))
		return FAIL(x, FAULT_GATE, 500, "the connection to %s failed: %s", name,
			    strerror(-down->error));
	if (x->tunnel) {
		tunnel_explain(&x->relay, down, FAULT_BACKEND, &x->fault);
		return exchange_failed(x);
	}
	return FAIL(x, FAULT_BACKEND, down->error == -ETIMEDOUT ? 504 : 502,
		    "the connection to %s failed: %s", name,
		    stream_strerror(down->from, down->error));
}

/* The response or the tunnel is complete. */
static enum exchange_end exchange_done(struct exchange *x)
{
	if (x->tunnel) {
		tunnel_explain(&x->relay, NULL, FAULT_NOBODY, &x->fault);
		return EXCHANGE_LAST;
	}
	return x->last || !flow_complete(&x->relay.up) ? EXCHANGE_LAST : EXCHANGE_NEXT;
}

/* The relay has stopped and is not run again; error is for RELAY_POLL_FAILED. */
static enum exchange_end exchange_stopped(struct exchange *x, enum relay_end end,
					  int error)
{
	const struct relay *r = &x->relay;

	switch (end) {
	case RELAY_DONE: return exchange_done(x);
	case RELAY_UPSTREAM_FAILED: return exchange_failed(x);
	case RELAY_CLIENT_FAILED: return exchange_client_failed(x);
	case RELAY_BACKEND_FAILED: return exchange_backend_failed(x);
	case RELAY_BACKEND_TIMEOUT:
		return FAIL(x, FAULT_BACKEND, 504, "%s stalled in the middle of a body",
			    x->up->be->name);
	case RELAY_CLIENT_TIMEOUT:
		return FAIL(x, FAULT_CLIENT, 408,
			    "the client stalled in the middle of a body");
	case RELAY_LINGER_TIMEOUT:
		fault_set(&x->fault, FAULT_NOBODY, 0,
			  "%s closed, then no data for LingerTimeoutSec=",
			  tunnel_side(r, r->closed_first));
		return EXCHANGE_LAST;
	case RELAY_IDLE_TIMEOUT:
		fault_set(&x->fault, FAULT_NOBODY, 0, "no data for IdleTimeoutSec=");
		return EXCHANGE_LAST;
	case RELAY_TERMINATED:
		(void)FAIL(x, FAULT_NOBODY, 503, "stopped by SIGTERM");
		return x->tunnel ? EXCHANGE_GONE : x->end_if_failed;
	default: break;
	}
	return FAIL(x, FAULT_GATE, 500, "poll: %s", strerror(-error));
}

/* Releases the memory that an idle tunnel does not need. */
static void exchange_release(struct exchange *x)
{
	struct http1_head *h = x->up->response;

	x->relay.release_ms = EXCHANGE_RELEASE_MS;
	downstream_release(x->down);
	pages_release(h->field, sizeof(h->field));
	pages_release_stack();
}

/* Relays until the exchange ends or becomes a tunnel. */
static enum exchange_end exchange_relay(struct exchange *x)
{
	enum exchange_end end = EXCHANGE_TUNNEL;
	bool over = false;

	while (!over) {
		int error = 0;
		enum relay_end stop = relay_run(&x->relay, &error);

		if (stop == RELAY_RELEASE) {
			exchange_release(x);
		} else if (stop == RELAY_RESPONSE) {
			over = exchange_on_head(x, &end);
		} else {
			end = exchange_stopped(x, stop, error);
			over = true;
		}
	}
	return end;
}

/* Prepares both connections for the next request, or closes the backend's. */
static enum exchange_end exchange_finish(struct exchange *x, enum exchange_end end)
{
	struct downstream *d = x->down;

	if (x->tunnel && end == EXCHANGE_RESET)
		stream_reset(&x->up->stream);
	x->up_bytes = x->relay.up.bytes;
	x->down_bytes = x->relay.down.bytes;
	flow_done(&x->relay.up);
	flow_done(&x->relay.down);
	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		upstream_kept_forget(&d->upstream[i]);
	if (end == EXCHANGE_NEXT)
		upstream_keep(x->up);
	else
		upstream_close(x->up);
	buf_reset(&d->up_out);
	buf_reset(&d->up_in);
	return end;
}

enum exchange_end exchange_tunnel(struct exchange *x)
{
	return exchange_finish(x, exchange_relay(x));
}

enum exchange_end exchange_abort(struct exchange *x, const char *what, int error)
{
	fault_set(&x->fault, FAULT_GATE, 500, "%s: %s", what, strerror(-error));
	return exchange_finish(x, exchange_failed(x));
}

/* ---- the start */

/* RFC 9110 9.2.2 */
static bool is_idempotent(struct slice method)
{
	static const char *const names[] = { "GET", "HEAD", "OPTIONS", "PUT", "DELETE" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_eq(method, slice_str(names[i])))
			return true;
	return false;
}

static void exchange_init(struct exchange *x, struct downstream *d,
			  const struct http1_head *h, const struct verdict *v)
{
	const struct config *cfg = d->cfg;
	bool upgrade = v->kind == ROUTE_UPGRADE;
	bool head = slice_eq(h->method, SLICE("HEAD"));

	x->status = 0;
	x->up_bytes = x->down_bytes = 0;
	x->tunnel = x->last = false;
	fault_clear(&x->fault);
	x->down = d;
	x->up = &d->upstream[v->backend];
	x->end_if_failed = EXCHANGE_REFUSED;
	x->request = (struct request){
		.kind = upgrade ? REQUEST_UPGRADE
			: head  ? REQUEST_HEAD
				: REQUEST_PLAIN,
		.http10 = h->minor == 0,
		.persistent = http1_persistent(h) && cfg->keep_alive_ms > 0,
		.expects = h->minor > 0 &&
			   http1_has_token(h, SLICE("Expect"), SLICE("100-continue")),
	};
	x->up_request = (struct upstream_request){
		.method = head ? SLICE("HEAD") : SLICE("GET"),
		.new_connection = upgrade,
		.repeatable = is_idempotent(h->method) && !upgrade &&
			      (h->framing == HTTP1_NO_BODY ||
			       (h->framing == HTTP1_LENGTH && h->length == 0)),
		.connect_ms = cfg->connect_ms,
		.response_ms = upgrade ? cfg->upgrade_ms : cfg->response_ms,
		.head_max = cfg->head_max,
		.fault = &x->fault,
		.accepted = &d->stream,
	};
	if (upgrade)
		upgrade_accept(http1_field(h, SLICE("Sec-WebSocket-Key"))->value,
			       x->accept);
	x->relay = (struct relay){
		.cfg = cfg,
		.upstream = x->up,
		.sigfd = d->sigfd,
		.expects = x->request.expects,
		.gone_ms = EXCHANGE_GONE_MS,
	};
	flow_init(&x->relay.up, &d->stream, &x->up->stream, &d->in, &d->up_out);
	flow_init(&x->relay.down, &x->up->stream, &d->stream, &d->up_in, &d->out);
	if (!upgrade)
		flow_begin(&x->relay.up, h->framing, h->length, true);
}

enum exchange_end exchange_run(struct exchange *x, struct downstream *d,
			       const struct http1_head *h, size_t head_len,
			       const struct verdict *v)
{
	enum exchange_end end;
	int r;

	exchange_init(x, d, h, v);
	r = rewrite_request(h, v, x->up->be, &d->client, &d->up_out);
	buf_consume(&d->in, head_len);
	if (r < 0)
		end = FAIL(x, FAULT_CLIENT, 431,
			   r == -E2BIG ? REWRITE_TOO_MANY
				       : "header fields are too large");
	else if (upstream_start(x->up, &x->up_request, &d->up_in, &d->up_out,
				&d->response) == UPSTREAM_FAILED)
		end = exchange_stopped(x, RELAY_UPSTREAM_FAILED, 0);
	else
		end = exchange_relay(x);
	return end == EXCHANGE_TUNNEL ? end : exchange_finish(x, end);
}
