/* SPDX-License-Identifier: MIT */
#include "proxy/tunnel.h"

void tunnel_begin(struct relay *r)
{
	r->phase = RELAY_TUNNEL;
	r->release_ms = 0; /* the memory of the heads, at the first wait */
	flow_begin_tunnel(&r->up);
	flow_begin_tunnel(&r->down);
	stream_keep_alive(r->up.from);
	stream_keep_alive(r->down.from);
}

const char *tunnel_side(const struct relay *r, enum relay_side side)
{
	return side == RELAY_CLIENT ? "the client" : r->upstream->be->name;
}

/* Only the side that closed first is known: close frames are not parsed. */
void tunnel_explain(const struct relay *r, const struct flow *failed,
		    enum fault_blame blame, struct fault *ret)
{
	enum relay_side failed_side = failed == &r->up ? RELAY_CLIENT : RELAY_BACKEND;
	enum relay_side first =
		r->closed_first == RELAY_NEITHER ? failed_side : r->closed_first;
	const struct flow *closed = first == RELAY_CLIENT ? &r->up : &r->down;
	const char *why = failed ? stream_strerror(failed->from, failed->error) : "";
	const char *name = tunnel_side(r, first);

	if (failed && first == failed_side && !stream_ended(failed->from))
		fault_set(ret, blame, 0, "the connection to %s failed: %s", name, why);
	else if (first == RELAY_BOTH)
		fault_set(ret, blame, 0, "both sides closed at the same time");
	else if (failed && first != failed_side)
		fault_set(ret, blame, 0,
			  "%s closed first, then the connection to %s failed: %s", name,
			  tunnel_side(r, failed_side), why);
	else
		fault_set(ret, blame, 0, "%s closed first%s", name,
			  stream_cut_note(closed->from));
}
