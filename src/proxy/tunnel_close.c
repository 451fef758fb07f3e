/* SPDX-License-Identifier: MIT */
/* The Closes of the gate: which code and reason each peer gets, and when it can be inserted. */
#include "proxy/tunnel.h"

/* How long an ending tunnel waits for the end of a frame, and for the peers' Closes. */
#define TUNNEL_BOUNDARY_MS 1000
#define TUNNEL_END_MS      2000

/*
 * The codes of the Closes for the two peers (RFC 6455 7.4.1; 1014 is in IANA's registry); 0: none, because that
 * peer is gone, or has got one. The reason is for the client, and may begin with the backend's name.
 */
static const struct {
	unsigned client, backend;
	bool named;
	char reason[48];
} ends[] = {
	[TUNNEL_CLOSED] = { 0, 0, false, "" },
	[TUNNEL_ENDED] = { 0, 0, false, "" },
	[TUNNEL_CLIENT_LEFT] = { 0, 1001, false, "" },
	[TUNNEL_BACKEND_LEFT] = { 1014, 0, true, " closed the connection" },
	[TUNNEL_CLIENT_FAILED] = { 0, 1001, false, "" },
	[TUNNEL_BACKEND_FAILED] = { 1014, 0, true, " reset the connection" },
	[TUNNEL_BACKEND_SILENT] = { 1014, 0, true, " does not answer" },
	[TUNNEL_CLIENT_SILENT] = { 0, 1001, false, "" },
	[TUNNEL_CLOSE_TIMEOUT] = { 1001, 1001, true, " did not answer the Close" },
	[TUNNEL_LINGER_TIMEOUT] = { 1001, 1001, false, "no data for LingerTimeoutSec=" },
	[TUNNEL_IDLE_TIMEOUT] = { 1008, 1001, false, "no data for IdleTimeoutSec=" },
	[TUNNEL_SESSION_TIMEOUT] = { 1008, 1001, false,
				     "the session has lasted for SessionTimeoutSec=" },
	[TUNNEL_UNAUTHORIZED] = { 1008, 1001, false, "no longer authorized" },
	[TUNNEL_STOPPED] = { 1001, 1001, false, "the session was ended by the server" },
	[TUNNEL_FAULT] = { 1011, 1001, false, "a fault of the server" },
};

/* Writes nothing more to that peer, and drops what comes from the other one. If its Close is lost, its state is `lost`. */
static void side_give_up(struct tunnel_side *to, enum tunnel_close lost)
{
	if (flow_unwritten(to->flow) || to->close == TUNNEL_CLOSE_DUE)
		to->close = lost;
	flow_note_target_closed(to->flow);
	flow_drop(to->flow);
}

/* Between two frames. */
static void put_close(struct tunnel *t, struct tunnel_side *to)
{
	bool is_client = to == &t->client;
	char text[FRAMES_REASON_MAX], payload[FRAMES_CONTROL_MAX];
	struct buf reason = { .data = text, .cap = sizeof(text) };
	size_t len;

	if (is_client)
		(void)BUF_PUT(&reason, /* has room for the longest */
			      slice_str(ends[t->end].named ? t->setup.backend : ""),
			      slice_str(ends[t->end].reason), SLICE("; log id "),
			      slice_str(t->setup.log_id));
	len = frames_close(to->code, buf_slice(&reason), payload);
	flow_put(to->flow, FRAMES_CLOSE, (struct slice){ payload, len },
		 is_client ? NULL : t->setup.random->key);
	flow_drop(to->flow);
	to->close = TUNNEL_CLOSE_PUT;
}

/* Inserts the Close as soon as no frame is open. */
static void side_step(struct tunnel *t, struct tunnel_side *to, uint64_t now_ms)
{
	struct flow *f = to->flow;

	if (f->state == FLOW_TARGET_CLOSED) {
		side_give_up(to, TUNNEL_CLOSE_NONE);
	} else if (to->close != TUNNEL_CLOSE_DUE) {
		return;
	} else if (flow_has_closed(f)) {
		to->close = TUNNEL_CLOSE_PASSED;
		flow_drop(f);
	} else if (flow_between_frames(f)) {
		put_close(t, to);
	} else if (f->frames.state == FRAMES_LOST) {
		side_give_up(to, TUNNEL_CLOSE_NONE);
	} else if (flow_complete(f) || f->failure != FLOW_OK ||
		   now_ms >= t->boundary_ms) {
		side_give_up(to, TUNNEL_CLOSE_CUT);
	}
}

void tunnel_put_closes(struct tunnel *t, uint64_t now_ms)
{
	side_step(t, &t->client, now_ms);
	side_step(t, &t->backend, now_ms);
}

/* from: the flow from that peer. */
static void side_stop(struct tunnel *t, struct tunnel_side *to, const struct flow *from,
		      unsigned code)
{
	if (code == 0 || tunnel_is_raw(t)) {
		side_give_up(to, TUNNEL_CLOSE_NONE);
	} else if (to->close == TUNNEL_CLOSE_PASSED) {
		flow_drop(to->flow);
	} else {
		/* a Close is answered with its own code (RFC 6455 5.5.1) */
		to->code =
			flow_has_closed(from) ? frames_close_code(&from->frames) : code;
		to->close = TUNNEL_CLOSE_DUE;
		flow_pause(to->flow);
	}
}

/* The other peer may have ended in a frame, which is cut by that. */
static void note_cut(struct tunnel_side *to)
{
	if (flow_complete(to->flow) && flow_in_frame(to->flow))
		to->close = TUNNEL_CLOSE_CUT;
}

void tunnel_stop(struct tunnel *t, enum tunnel_end end, uint64_t now_ms)
{
	if (t->end != TUNNEL_OPEN || end == TUNNEL_OPEN)
		return;
	t->end = end;
	note_cut(&t->client);
	note_cut(&t->backend);
	if (end == TUNNEL_CLOSED || end == TUNNEL_ENDED)
		return;
	t->boundary_ms = now_ms + TUNNEL_BOUNDARY_MS;
	t->end_ms = now_ms + TUNNEL_END_MS;
	side_stop(t, &t->client, t->backend.flow, ends[end].client);
	side_stop(t, &t->backend, t->client.flow, ends[end].backend);
	tunnel_put_closes(t, now_ms);
}

/* The peer at the source of f has sent its Close, or nothing more comes from it. */
static bool peer_done(const struct flow *f)
{
	return flow_has_closed(f) || f->failure != FLOW_OK || stream_ended(f->from);
}

static bool side_done(const struct tunnel_side *to, const struct flow *from)
{
	return to->close != TUNNEL_CLOSE_DUE && !flow_pending(to->flow) &&
	       (to->close != TUNNEL_CLOSE_PUT || peer_done(from));
}

/* When it is over at the latest. What a backend sent before it left is written for as long as the client reads. */
static uint64_t end_ms(const struct tunnel *t)
{
	const struct flow *down = t->client.flow;
	uint64_t span_ms = flow_pending(down) ? t->setup.cfg->linger_ms : TUNNEL_END_MS;
	uint64_t until_ms = clock_deadline_ms(down->written_ms, span_ms);

	return t->end == TUNNEL_BACKEND_LEFT && until_ms > t->end_ms ? until_ms
								     : t->end_ms;
}

uint64_t tunnel_end_due_ms(const struct tunnel *t)
{
	bool due = t->client.close == TUNNEL_CLOSE_DUE ||
		   t->backend.close == TUNNEL_CLOSE_DUE;

	return due ? t->boundary_ms : end_ms(t);
}

bool tunnel_over(const struct tunnel *t, uint64_t now_ms)
{
	if (t->end == TUNNEL_OPEN)
		return false;
	return now_ms >= end_ms(t) || (side_done(&t->client, t->backend.flow) &&
				       side_done(&t->backend, t->client.flow));
}

bool tunnel_told(const struct tunnel_side *to)
{
	return (to->close == TUNNEL_CLOSE_PUT || to->close == TUNNEL_CLOSE_PASSED) &&
	       !flow_unwritten(to->flow);
}
