/* SPDX-License-Identifier: MIT */
#include "proxy/tunnel.h"

/* How long an ending tunnel waits for the end of a frame, and for the peers' Closes. */
#define TUNNEL_BOUNDARY_MS 1000
#define TUNNEL_END_MS      2000
/* With so many unanswered Pings the client is gone. */
#define TUNNEL_PINGS       2

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
	[TUNNEL_LINGER_TIMEOUT] = { 1001, 1001, false, "no data for LingerTimeoutSec=" },
	[TUNNEL_IDLE_TIMEOUT] = { 1008, 1001, false, "no data for IdleTimeoutSec=" },
	[TUNNEL_SESSION_TIMEOUT] = { 1008, 1001, false,
				     "the session has lasted for SessionTimeoutSec=" },
	[TUNNEL_STOPPED] = { 1001, 1001, false, "the session was ended by the server" },
	[TUNNEL_FAULT] = { 1011, 1001, false, "a fault of the server" },
};

static struct slice ping_payload(const struct tunnel *t)
{
	const unsigned char *payload = t->setup.random->ping;

	return (struct slice){ (const char *)payload, sizeof(t->setup.random->ping) };
}

void tunnel_begin(struct tunnel *ret, const struct tunnel_setup *setup, struct flow *up,
		  struct flow *down)
{
	*ret = (struct tunnel){
		.setup = *setup,
		.client = { .flow = down },
		.backend = { .flow = up },
		.begun_ms = clock_ms(),
	};
	flow_begin_tunnel(up, true, setup->null_fd);
	flow_begin_tunnel(down, false, setup->null_fd);
}

static uint64_t later(uint64_t a_ms, uint64_t b_ms)
{
	return a_ms > b_ms ? a_ms : b_ms;
}

static uint64_t earlier(uint64_t a_ms, uint64_t b_ms)
{
	return a_ms < b_ms ? a_ms : b_ms;
}

/* What passes in one of the directions are no frames, so nothing is put into either of them. */
static bool is_raw(const struct tunnel *t)
{
	return t->client.flow->frames.state == FRAMES_LOST ||
	       t->backend.flow->frames.state == FRAMES_LOST;
}

/* The peer at the source of f has sent a Close. */
static bool has_closed(const struct flow *f)
{
	return f->frames.state == FRAMES_CLOSED;
}

const struct frames *tunnel_first_close(const struct tunnel *t)
{
	switch (t->closed_first) {
	case TUNNEL_CLIENT: return &t->backend.flow->frames;
	case TUNNEL_BACKEND: return &t->client.flow->frames;
	default: return NULL;
	}
}

bool tunnel_client_told(const struct tunnel *t)
{
	enum tunnel_close close = t->client.close;

	return (close == TUNNEL_CLOSE_PUT || close == TUNNEL_CLOSE_PASSED) &&
	       !flow_pending(t->client.flow);
}

/* ---- Pings */

/* Nothing waits for the client, no frame to it is open, and neither peer has sent a Close. */
static bool may_ping(const struct tunnel *t)
{
	const struct flow *down = t->client.flow;

	return t->setup.cfg->heartbeat_ms > 0 && t->end == TUNNEL_OPEN &&
	       t->ended_first == TUNNEL_NEITHER &&
	       t->backend.flow->frames.state < FRAMES_CLOSED &&
	       flow_between_frames(down) && !flow_pending(down);
}

static uint64_t ping_due_ms(const struct tunnel *t)
{
	return may_ping(t) ? clock_deadline_ms(t->client.flow->moved_ms,
					       t->setup.cfg->heartbeat_ms)
			   : CLOCK_INFINITY;
}

/* No Pong can come, or be read: the client is in the middle of a frame, or there is back-pressure. */
static bool hides_pongs(const struct flow *up)
{
	return flow_pending(up) || up->frames.state != FRAMES_BETWEEN;
}

/* A Ping is due. False if the client has not answered the last ones. */
static bool ping(struct tunnel *t, uint64_t now_ms)
{
	if (hides_pongs(t->backend.flow))
		t->pings = 0;
	else if (t->pings++ == TUNNEL_PINGS)
		return false;
	t->ping_ms = now_ms;
	flow_put(t->client.flow, FRAMES_PING, ping_payload(t), NULL);
	flow_expect_pong(t->backend.flow, ping_payload(t));
	return true;
}

/* ---- the Closes of the gate */

/* Writes nothing more to that peer, and drops what comes from the other one. */
static void side_give_up(struct tunnel_side *to, enum tunnel_close close)
{
	if (flow_pending(to->flow) || to->close == TUNNEL_CLOSE_DUE)
		to->close = close;
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

/* Puts the Close in as soon as no frame is open. */
static void side_step(struct tunnel *t, struct tunnel_side *to, uint64_t now_ms)
{
	struct flow *f = to->flow;

	if (f->state == FLOW_TARGET_CLOSED) {
		side_give_up(to, TUNNEL_CLOSE_NONE);
	} else if (to->close != TUNNEL_CLOSE_DUE) {
		return;
	} else if (has_closed(f)) {
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

/* from: the flow from that peer. */
static void side_stop(struct tunnel *t, struct tunnel_side *to, const struct flow *from,
		      unsigned code)
{
	if (code == 0 || is_raw(t)) {
		side_give_up(to, TUNNEL_CLOSE_NONE);
	} else if (to->close == TUNNEL_CLOSE_PASSED) {
		flow_drop(to->flow);
	} else {
		/* a Close is answered with its own code (RFC 6455 5.5.1) */
		to->code = has_closed(from) ? frames_close_code(&from->frames) : code;
		to->close = TUNNEL_CLOSE_DUE;
		flow_pause(to->flow);
	}
}

void tunnel_stop(struct tunnel *t, enum tunnel_end end, uint64_t now_ms)
{
	if (t->end != TUNNEL_OPEN || end == TUNNEL_OPEN)
		return;
	t->end = end;
	if (end == TUNNEL_CLOSED || end == TUNNEL_ENDED)
		return;
	t->boundary_ms = now_ms + TUNNEL_BOUNDARY_MS;
	t->end_ms = now_ms + TUNNEL_END_MS;
	side_stop(t, &t->client, t->backend.flow, ends[end].client);
	side_stop(t, &t->backend, t->client.flow, ends[end].backend);
	side_step(t, &t->client, now_ms);
	side_step(t, &t->backend, now_ms);
}

/* ---- time limits */

/* One direction has ended. */
static bool is_half_closed(const struct tunnel *t)
{
	/* with LingerTimeoutSec=0 the tunnel ends only after all bytes before the EOF are passed on */
	return flow_finished(t->client.flow) || flow_finished(t->backend.flow) ||
	       (t->ended_first != TUNNEL_NEITHER && t->setup.cfg->linger_ms > 0);
}

static uint64_t moved_ms(const struct tunnel *t)
{
	return later(t->client.flow->moved_ms, t->backend.flow->moved_ms);
}

/* The next limit, with *ret for when it passes. */
static uint64_t next_limit(const struct tunnel *t, enum tunnel_end *ret)
{
	const struct config *cfg = t->setup.cfg;
	uint64_t session_ms = clock_deadline_ms(t->begun_ms, cfg->session_ms), limit_ms;

	if (t->closed_first != TUNNEL_NEITHER || is_half_closed(t)) {
		*ret = TUNNEL_LINGER_TIMEOUT;
		limit_ms = clock_deadline_ms(
			t->closed_first != TUNNEL_NEITHER ? t->close_ms : moved_ms(t),
			cfg->linger_ms);
	} else {
		*ret = TUNNEL_IDLE_TIMEOUT;
		limit_ms = clock_deadline_ms(
			later(t->client.flow->data_ms, t->backend.flow->data_ms),
			cfg->idle_ms);
	}
	if (session_ms <= limit_ms)
		*ret = TUNNEL_SESSION_TIMEOUT;
	return earlier(session_ms, limit_ms);
}

uint64_t tunnel_due_ms(const struct tunnel *t)
{
	if (t->end == TUNNEL_OPEN)
		return earlier(ping_due_ms(t), t->limit_ms);
	return t->client.close == TUNNEL_CLOSE_DUE || t->backend.close == TUNNEL_CLOSE_DUE
		       ? t->boundary_ms
		       : t->end_ms;
}

uint64_t tunnel_release_ms(const struct tunnel *t)
{
	return t->end == TUNNEL_OPEN &&
			       (t->client.flow->releasable || t->backend.flow->releasable)
		       ? clock_deadline_ms(moved_ms(t), t->release_ms)
		       : CLOCK_INFINITY;
}

/* ---- ends */

/* The peer at the source of f has ended its direction between two frames, without a Close. */
static bool has_left(const struct tunnel *t, const struct flow *f)
{
	return flow_complete(f) && flow_between_frames(f) && !is_raw(t);
}

/* The peers whose directions have ended; their last bytes may be unread. */
static enum tunnel_peer ended_peers(const struct tunnel *t)
{
	bool client = t->backend.flow->from->input != STREAM_OPEN;
	bool backend = t->client.flow->from->input != STREAM_OPEN;

	if (client && backend)
		return TUNNEL_BOTH;
	return client ? TUNNEL_CLIENT : backend ? TUNNEL_BACKEND : TUNNEL_NEITHER;
}

/* Notes the first Close, and the first end of a direction. */
static void note_ends(struct tunnel *t, uint64_t now_ms)
{
	if (has_closed(t->client.flow))
		t->client.close = TUNNEL_CLOSE_PASSED;
	if (has_closed(t->backend.flow))
		t->backend.close = TUNNEL_CLOSE_PASSED;
	if (t->closed_first == TUNNEL_NEITHER) {
		t->closed_first = has_closed(t->backend.flow)  ? TUNNEL_CLIENT
				  : has_closed(t->client.flow) ? TUNNEL_BACKEND
							       : TUNNEL_NEITHER;
		t->close_ms = now_ms;
	}
	if (t->ended_first == TUNNEL_NEITHER)
		t->ended_first = ended_peers(t);
}

/* Half-close: the other direction continues. */
static void pass_end(const struct tunnel *t, const struct flow *f)
{
	if (flow_complete(f) && !has_left(t, f))
		stream_shut(f->to);
}

static bool direction_finished(const struct flow *f)
{
	return flow_finished(f) && f->to->output != STREAM_OUT_SHUTTING;
}

/* How a failed flow ends the tunnel, if it does. */
static enum tunnel_end find_failure(const struct flow *up, const struct flow *down)
{
	if (up->failure != FLOW_OK)
		return stream_error_is_local(up->error) ? TUNNEL_FAULT
							: TUNNEL_CLIENT_FAILED;
	if (down->failure == FLOW_OK)
		return TUNNEL_OPEN;
	if (stream_error_is_local(down->error))
		return TUNNEL_FAULT;
	if (flow_pending(down)) /* the client gets all that came before */
		return TUNNEL_OPEN;
	return down->error == -ETIMEDOUT ? TUNNEL_BACKEND_SILENT : TUNNEL_BACKEND_FAILED;
}

static enum tunnel_end find_end(const struct tunnel *t)
{
	const struct flow *up = t->backend.flow, *down = t->client.flow;
	enum tunnel_end end;

	if (has_closed(up) && has_closed(down) && !flow_pending(up) &&
	    !flow_pending(down))
		return TUNNEL_CLOSED;
	if (has_left(t, up))
		return TUNNEL_CLIENT_LEFT;
	if (has_left(t, down))
		return TUNNEL_BACKEND_LEFT;
	end = find_failure(up, down);
	if (end == TUNNEL_OPEN && direction_finished(up) && direction_finished(down))
		end = TUNNEL_ENDED;
	return end;
}

/* Nothing has ended in that direction, nor will. */
static bool goes_on(const struct flow *f)
{
	return f->state <= FLOW_READING && f->failure == FLOW_OK &&
	       f->from->input == STREAM_OPEN && !has_closed(f);
}

/* Something has ended, or a limit may have passed. */
static void check_end(struct tunnel *t, uint64_t now_ms)
{
	enum tunnel_end late;

	note_ends(t, now_ms);
	pass_end(t, t->backend.flow);
	pass_end(t, t->client.flow);
	tunnel_stop(t, find_end(t), now_ms);
	t->limit_ms = next_limit(t, &late);
	if (now_ms >= t->limit_ms)
		tunnel_stop(t, late, now_ms);
}

void tunnel_step(struct tunnel *t, uint64_t now_ms)
{
	const struct flow *up = t->backend.flow, *down = t->client.flow;

	if (t->end != TUNNEL_OPEN) {
		side_step(t, &t->client, now_ms);
		side_step(t, &t->backend, now_ms);
		return;
	}
	if (up->read_ms >= t->ping_ms)
		t->pings = 0;
	if (now_ms - down->moved_ms >= t->setup.cfg->heartbeat_ms && may_ping(t) &&
	    !ping(t, now_ms))
		tunnel_stop(t, TUNNEL_CLIENT_SILENT, now_ms);
	else if (!goes_on(up) || !goes_on(down) || now_ms >= t->limit_ms)
		check_end(t, now_ms);
}

/* The peer at the source of f has sent its Close, or nothing more comes from it. */
static bool peer_done(const struct flow *f)
{
	return has_closed(f) || f->failure != FLOW_OK || stream_ended(f->from);
}

static bool side_done(const struct tunnel_side *to, const struct flow *from)
{
	return to->close != TUNNEL_CLOSE_DUE && !flow_pending(to->flow) &&
	       (to->close != TUNNEL_CLOSE_PUT || peer_done(from));
}

bool tunnel_over(const struct tunnel *t, uint64_t now_ms)
{
	if (t->end == TUNNEL_OPEN)
		return false;
	return now_ms >= t->end_ms || (side_done(&t->client, t->backend.flow) &&
				       side_done(&t->backend, t->client.flow));
}
