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

/* ---- closes */

/* A Close of the other peer has been passed on to this one. */
static bool has_close(const struct tunnel_side *to)
{
	return to->flow->frames.state == FRAMES_CLOSED;
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
	return (t->client.told || has_close(&t->client)) && !flow_pending(t->client.flow);
}

/* The peer at the source of f has ended its direction between two frames, without a Close. */
static bool has_left(const struct flow *f)
{
	return flow_complete(f) && flow_between_frames(f);
}

/* ---- Pings */

/* Nothing waits for the client, no frame to it is open, and neither peer has sent a Close. */
static bool may_ping(const struct tunnel *t)
{
	const struct flow *down = t->client.flow;

	return t->setup.cfg->heartbeat_ms > 0 && t->end == TUNNEL_OPEN &&
	       t->ended_first == TUNNEL_NEITHER && !has_close(&t->backend) &&
	       flow_between_frames(down) && !flow_pending(down);
}

uint64_t tunnel_wake_ms(const struct tunnel *t)
{
	return may_ping(t) ? clock_deadline_ms(t->client.flow->moved_ms,
					       t->setup.cfg->heartbeat_ms)
			   : CLOCK_INFINITY;
}

/* A Ping is due. False if the client has not answered the last ones. */
static bool ping(struct tunnel *t, uint64_t now_ms)
{
	/* with back-pressure the client's Pong cannot be read */
	if (t->pings >= TUNNEL_PINGS && !flow_pending(t->backend.flow))
		return false;
	t->pings++;
	t->ping_ms = now_ms;
	flow_put(t->client.flow, FRAMES_PING, ping_payload(t), NULL);
	flow_expect_pong(t->backend.flow, ping_payload(t));
	return true;
}

/* ---- ends */

/* The peers whose directions have ended; their last bytes may be unread. */
static enum tunnel_peer ended_peers(const struct tunnel *t)
{
	bool client = t->backend.flow->from->input != STREAM_OPEN;
	bool backend = t->client.flow->from->input != STREAM_OPEN;

	if (client && backend)
		return TUNNEL_BOTH;
	return client ? TUNNEL_CLIENT : backend ? TUNNEL_BACKEND : TUNNEL_NEITHER;
}

static bool direction_finished(const struct flow *f)
{
	return flow_finished(f) && f->to->output != STREAM_OUT_SHUTTING;
}

static enum tunnel_end find_end(const struct tunnel *t)
{
	const struct flow *up = t->backend.flow, *down = t->client.flow;

	if (has_close(&t->client) && has_close(&t->backend) && !flow_pending(up) &&
	    !flow_pending(down))
		return TUNNEL_CLOSED;
	if (has_left(up))
		return TUNNEL_CLIENT_LEFT;
	if (has_left(down))
		return TUNNEL_BACKEND_LEFT;
	if (up->failure != FLOW_OK)
		return TUNNEL_CLIENT_FAILED;
	if (down->failure != FLOW_OK && !flow_pending(down))
		return down->error == -ETIMEDOUT ? TUNNEL_BACKEND_SILENT
						 : TUNNEL_BACKEND_FAILED;
	return direction_finished(up) && direction_finished(down) ? TUNNEL_ENDED
								  : TUNNEL_OPEN;
}

/* Writes nothing more to that peer, and drops what comes from the other one. */
static void side_give_up(struct tunnel_side *to)
{
	flow_note_target_closed(to->flow);
	flow_drop(to->flow);
}

/* from: the flow from that peer. */
static void side_stop(struct tunnel_side *to, const struct flow *from, unsigned code)
{
	if (code == 0) {
		side_give_up(to);
	} else if (has_close(to)) {
		flow_drop(to->flow);
	} else {
		/* a Close is answered with its own code (RFC 6455 5.5.1) */
		to->code = from->frames.state == FRAMES_CLOSED
				   ? frames_close_code(&from->frames)
				   : code;
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
	side_stop(&t->client, t->backend.flow, ends[end].client);
	side_stop(&t->backend, t->client.flow, ends[end].backend);
}

static bool side_waits(const struct tunnel_side *to)
{
	return to->code != 0 && !to->told && !to->cut;
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
	to->told = true;
}

/* Puts the Close in as soon as no frame is open. */
static void side_step(struct tunnel *t, struct tunnel_side *to, uint64_t now_ms)
{
	struct flow *f = to->flow;

	if (f->state == FLOW_TARGET_CLOSED)
		side_give_up(to);
	if (!side_waits(to))
		return;
	if (flow_between_frames(f)) {
		put_close(t, to);
	} else if (f->frames.state == FRAMES_LOST || flow_complete(f) ||
		   f->failure != FLOW_OK || now_ms >= t->boundary_ms) {
		to->cut = true;
		side_give_up(to);
	}
}

/* Half-close: the other direction continues. */
static void pass_end(const struct flow *f)
{
	if (flow_complete(f) && !has_left(f))
		stream_shut(f->to);
}

/* Nothing has ended in that direction, nor will. */
static bool goes_on(const struct flow *f)
{
	return f->state <= FLOW_READING && f->failure == FLOW_OK &&
	       f->from->input == STREAM_OPEN && f->frames.state != FRAMES_CLOSED;
}

void tunnel_step(struct tunnel *t, uint64_t now_ms)
{
	const struct flow *up = t->backend.flow, *down = t->client.flow;

	if (up->read_ms >= t->ping_ms)
		t->pings = 0;
	if (now_ms - down->moved_ms >= t->setup.cfg->heartbeat_ms && may_ping(t) &&
	    !ping(t, now_ms))
		tunnel_stop(t, TUNNEL_CLIENT_SILENT, now_ms);
	if (t->end == TUNNEL_OPEN && goes_on(up) && goes_on(down))
		return;
	if (t->closed_first == TUNNEL_NEITHER && t->end == TUNNEL_OPEN)
		t->closed_first = has_close(&t->backend)  ? TUNNEL_CLIENT
				  : has_close(&t->client) ? TUNNEL_BACKEND
							  : TUNNEL_NEITHER;
	if (t->ended_first == TUNNEL_NEITHER)
		t->ended_first = ended_peers(t);
	pass_end(up);
	pass_end(down);
	if (t->end == TUNNEL_OPEN)
		tunnel_stop(t, find_end(t), now_ms);
	if (t->end != TUNNEL_OPEN) {
		side_step(t, &t->client, now_ms);
		side_step(t, &t->backend, now_ms);
	}
}

/* The peer has sent its Close, or nothing more comes from it. */
static bool peer_done(const struct flow *from)
{
	return from->frames.state == FRAMES_CLOSED || from->failure != FLOW_OK ||
	       stream_ended(from->from);
}

static bool side_done(const struct tunnel_side *to, const struct flow *from)
{
	return !side_waits(to) && !flow_pending(to->flow) &&
	       (!to->told || peer_done(from));
}

bool tunnel_over(const struct tunnel *t, uint64_t now_ms)
{
	if (t->end == TUNNEL_OPEN)
		return false;
	return now_ms >= t->end_ms || (side_done(&t->client, t->backend.flow) &&
				       side_done(&t->backend, t->client.flow));
}

/* ---- time */

/* One direction has ended, or one peer has sent a Close. */
static bool lingers(const struct tunnel *t)
{
	/* with LingerTimeoutSec=0 the tunnel ends only after all bytes before the EOF are passed on */
	return flow_finished(t->client.flow) || flow_finished(t->backend.flow) ||
	       has_close(&t->client) || has_close(&t->backend) ||
	       (t->ended_first != TUNNEL_NEITHER && t->setup.cfg->linger_ms > 0);
}

static uint64_t moved_ms(const struct tunnel *t)
{
	return later(t->client.flow->moved_ms, t->backend.flow->moved_ms);
}

static uint64_t quiet_ms(const struct tunnel *t)
{
	const struct config *cfg = t->setup.cfg;

	if (lingers(t))
		return clock_deadline_ms(moved_ms(t), cfg->linger_ms);
	return clock_deadline_ms(later(t->client.flow->data_ms, t->backend.flow->data_ms),
				 cfg->idle_ms);
}

static uint64_t session_end_ms(const struct tunnel *t)
{
	return clock_deadline_ms(t->begun_ms, t->setup.cfg->session_ms);
}

static uint64_t release_due_ms(const struct tunnel *t)
{
	return t->client.flow->releasable || t->backend.flow->releasable
		       ? clock_deadline_ms(moved_ms(t), t->release_ms)
		       : CLOCK_INFINITY;
}

uint64_t tunnel_deadline_ms(const struct tunnel *t)
{
	if (t->end != TUNNEL_OPEN)
		return side_waits(&t->client) || side_waits(&t->backend) ? t->boundary_ms
									 : t->end_ms;
	return earlier(earlier(quiet_ms(t), session_end_ms(t)), release_due_ms(t));
}

bool tunnel_expire(struct tunnel *t, uint64_t now_ms)
{
	if (t->end != TUNNEL_OPEN)
		return false;
	if (now_ms >= session_end_ms(t))
		tunnel_stop(t, TUNNEL_SESSION_TIMEOUT, now_ms);
	else if (now_ms >= quiet_ms(t))
		tunnel_stop(t, lingers(t) ? TUNNEL_LINGER_TIMEOUT : TUNNEL_IDLE_TIMEOUT,
			    now_ms);
	return t->end == TUNNEL_OPEN;
}
