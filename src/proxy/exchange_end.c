/* SPDX-License-Identifier: MIT */
/* How an exchange ends: its result, who is to blame, what becomes of both connections. */
#include "proxy/exchange.h"

#include "proxy/tunnel_fault.h"

enum exchange_end exchange_failed(struct exchange *x)
{
	if (x->end_if_failed == EXCHANGE_NO_RESPONSE)
		x->status = x->fault.status;
	return x->end_if_failed;
}

static enum exchange_end exchange_client_failed(struct exchange *x)
{
	const struct flow *up = &x->relay.up;

	if (up->failure == FLOW_INVALID)
		return EXCHANGE_FAIL(x, FAULT_CLIENT, 400, "invalid request body: %s",
				     up->body.why);
	if (up->failure == FLOW_INCOMPLETE)
		return EXCHANGE_FAIL(x, FAULT_CLIENT, 400, "incomplete request body%s",
				     stream_cut_note(up->from));
	fault_set_broken(&x->fault, FAULT_NOBODY, "the client", up->from, up->error);
	if (x->fault.blame == FAULT_GATE)
		return exchange_failed(x);
	/* the client may still read: it must not see a normal end */
	return x->end_if_failed == EXCHANGE_RESET ? EXCHANGE_RESET : EXCHANGE_GONE;
}

static enum exchange_end exchange_backend_failed(struct exchange *x)
{
	const struct flow *down = &x->relay.down;
	const char *name = x->upstream->be->name;

	if (down->failure == FLOW_INVALID)
		return EXCHANGE_FAIL(x, FAULT_BACKEND, 502, "%s sent an invalid body: %s",
				     name, down->body.why);
	if (down->failure == FLOW_INCOMPLETE)
		return EXCHANGE_FAIL(
			x, FAULT_BACKEND, 502,
			"%s closed the connection before its response was complete%s",
			name, stream_cut_note(down->from));
	fault_set_broken(&x->fault, FAULT_BACKEND, name, down->from, down->error);
	return exchange_failed(x);
}

/* If the client knows from a Close why the tunnel has ended, its connection ends normally. */
static enum exchange_end exchange_tunnel_over(struct exchange *x)
{
	const struct tunnel *t = &x->relay.tunnel;

	tunnel_fault(t, x->relay.error, &x->fault);
	if (tunnel_told(&t->client))
		return EXCHANGE_LAST;
	switch (t->end) {
	case TUNNEL_CLIENT_FAILED:
		/* a reset of the backend's connection might overtake its Close */
		return tunnel_told(&t->backend) ? EXCHANGE_GONE : EXCHANGE_RESET;
	case TUNNEL_BACKEND_FAILED:
	case TUNNEL_BACKEND_SILENT:
	case TUNNEL_FAULT: return EXCHANGE_RESET;
	case TUNNEL_CLIENT_SILENT:
	case TUNNEL_STOPPED: return EXCHANGE_GONE;
	default: return EXCHANGE_LAST;
	}
}

/* The response is complete. */
static enum exchange_end exchange_done(struct exchange *x)
{
	return x->last || !flow_complete(&x->relay.up) ? EXCHANGE_LAST : EXCHANGE_NEXT;
}

enum exchange_end exchange_stopped(struct exchange *x, enum relay_result result)
{
	switch (result) {
	case RELAY_DONE: return exchange_done(x);
	case RELAY_UPSTREAM_FAILED: return exchange_failed(x);
	case RELAY_CLIENT_FAILED: return exchange_client_failed(x);
	case RELAY_BACKEND_FAILED: return exchange_backend_failed(x);
	case RELAY_BACKEND_TIMEOUT:
		fault_set(&x->fault, FAULT_BACKEND, 504,
			  "%s stalled in the middle of a body", x->upstream->be->name);
		fault_set_type(&x->fault, "connection_write_timeout");
		return exchange_failed(x);
	case RELAY_CLIENT_TIMEOUT:
		return EXCHANGE_FAIL(x, FAULT_CLIENT, 408,
				     "the client stalled in the middle of a body");
	case RELAY_TUNNEL_OVER: return exchange_tunnel_over(x);
	case RELAY_TERMINATED:
		return EXCHANGE_FAIL(x, FAULT_NOBODY, 503, "stopped by SIGTERM");
	default: break;
	}
	return EXCHANGE_FAIL(x, FAULT_GATE, 500, "poll: %s", strerror(-x->relay.error));
}

enum exchange_end exchange_finish(struct exchange *x, enum exchange_end end)
{
	struct downstream *d = x->downstream;

	if (x->tunnel && end == EXCHANGE_RESET)
		stream_reset(&x->upstream->stream);
	flow_done(&x->relay.up);
	flow_done(&x->relay.down);
	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		upstream_quiet_clear(&d->upstream[i]);
	if (end == EXCHANGE_NEXT || end == EXCHANGE_AUTHORIZED)
		upstream_keep(x->upstream);
	else
		upstream_close(x->upstream);
	if (end != EXCHANGE_AUTHORIZED)
		recheck_free(&d->recheck);
	buf_reset(&d->backend_out);
	buf_reset(&d->backend_in);
	return end;
}
