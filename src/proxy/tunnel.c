/* SPDX-License-Identifier: MIT */
/* A tunnel: how it begins, and in which words it ends. */
#include "proxy/tunnel.h"

/* The memory that the heads have used goes back at the first wait. */
void tunnel_begin(struct relay *r)
{
	r->phase = RELAY_TUNNEL;
	r->rest_ms = 0;
	flow_begin_tunnel(&r->up);
	flow_begin_tunnel(&r->down);
	stream_keep_alive(r->up.from);
	stream_keep_alive(r->down.from);
}

const char *tunnel_side(const struct relay *r, enum relay_first side)
{
	return side == RELAY_UP ? "the client" : r->upstream->be->name;
}

/* The side that ended first is all that is known; who wanted the end is in the frames. */
void tunnel_explain(const struct relay *r, const struct flow *failed,
		    enum fault_blame blame, struct fault *ret)
{
	enum relay_first first = r->first;
	enum relay_first second = failed == &r->up ? RELAY_UP : RELAY_DOWN;
	const char *why = failed ? stream_strerror(failed->from, failed->error) : "";
	const struct flow *ended;

	if (first == RELAY_NEITHER)
		first = second;
	ended = first == RELAY_UP ? &r->up : &r->down;
	if (failed && first == second && !stream_ended(failed->from))
		fault_set(ret, blame, 0, "the connection to %s failed: %s",
			  tunnel_side(r, first), why);
	else if (first == RELAY_BOTH)
		fault_set(ret, blame, 0, "both sides closed at the same time");
	else if (failed && first != second)
		fault_set(ret, blame, 0,
			  "%s closed first, then the connection to %s failed: %s",
			  tunnel_side(r, first), tunnel_side(r, second), why);
	else
		fault_set(ret, blame, 0, "%s closed first%s", tunnel_side(r, first),
			  ended->from->input == STREAM_CUT ? ", without TLS close_notify"
							   : "");
}
