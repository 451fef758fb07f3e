/* SPDX-License-Identifier: MIT */
#include "proxy/tunnel.h"

/* With so many unanswered Pings the client is gone. */
#define TUNNEL_PINGS    2
/* The most bytes of a Ping, with TLS. */
#define TUNNEL_PING_MAX 64

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

const struct frames *tunnel_first_close(const struct tunnel *t)
{
	switch (t->closed_first) {
	case TUNNEL_CLIENT: return &t->backend.flow->frames;
	case TUNNEL_BACKEND: return &t->client.flow->frames;
	default: return NULL;
	}
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

/* The client has not got all that was written before the Pings. */
static bool has_backlog(const struct tunnel *t)
{
	return stream_unacknowledged(t->client.flow->to) > t->pings * TUNNEL_PING_MAX;
}

/* No Pong can come, or be read: the client is in the middle of a frame, or there is back-pressure. */
static bool hides_pongs(const struct flow *up)
{
	return flow_pending(up) || flow_in_frame(up);
}

/* A Ping is due. False if the client has not answered the last ones. */
static bool ping(struct tunnel *t, uint64_t now_ms)
{
	if (has_backlog(t)) {
		t->pings = 0;
		flow_touch(t->client.flow, now_ms); /* due again after HeartbeatSec= */
		return true;
	}
	if (hides_pongs(t->backend.flow))
		t->pings = 0;
	else if (t->pings++ == TUNNEL_PINGS)
		return false;
	t->ping_ms = now_ms;
	flow_put(t->client.flow, FRAMES_PING, ping_payload(t), NULL);
	flow_expect_pong(t->backend.flow, ping_payload(t));
	return true;
}

/* ---- time limits */

/* One direction has ended. */
static bool is_half_closed(const struct tunnel *t)
{
	/* with LingerTimeoutSec=0, bytes before an EOF that poll(2) has shown would be lost unread */
	return flow_finished(t->client.flow) || flow_finished(t->backend.flow) ||
	       (t->ended_first != TUNNEL_NEITHER && t->setup.cfg->linger_ms > 0);
}

static uint64_t moved_ms(const struct tunnel *t)
{
	return later(t->client.flow->moved_ms, t->backend.flow->moved_ms);
}

/* How it ends because the backend has failed, with the failure of the flow down. */
static enum tunnel_end backend_failure(const struct flow *down)
{
	return down->error == -ETIMEDOUT ? TUNNEL_BACKEND_SILENT : TUNNEL_BACKEND_FAILED;
}

/* The next limit, with *ret for when it passes. */
static uint64_t next_limit(const struct tunnel *t, enum tunnel_end *ret)
{
	const struct config *cfg = t->setup.cfg;
	uint64_t session_ms = clock_deadline_ms(t->begun_ms, cfg->session_ms), limit_ms;

	if (t->closed_first != TUNNEL_NEITHER) {
		*ret = TUNNEL_CLOSE_TIMEOUT;
		limit_ms = clock_deadline_ms(t->close_ms, cfg->linger_ms);
	} else if (t->client.flow->failure != FLOW_OK) { /* see find_failure() */
		*ret = backend_failure(t->client.flow);
		limit_ms = clock_deadline_ms(moved_ms(t), cfg->linger_ms);
	} else if (is_half_closed(t)) {
		*ret = TUNNEL_LINGER_TIMEOUT;
		limit_ms = clock_deadline_ms(moved_ms(t), cfg->linger_ms);
	} else {
		*ret = TUNNEL_IDLE_TIMEOUT;
		limit_ms = clock_deadline_ms(
			later(t->client.flow->data_ms, t->backend.flow->data_ms),
			cfg->idle_ms);
	}
	if (session_ms <= limit_ms)
		*ret = TUNNEL_SESSION_TIMEOUT;
	return clock_earlier(session_ms, limit_ms);
}

uint64_t tunnel_due_ms(const struct tunnel *t)
{
	return t->end == TUNNEL_OPEN ? clock_earlier(ping_due_ms(t), t->limit_ms)
				     : tunnel_end_due_ms(t);
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
	return flow_complete(f) && flow_between_frames(f) && !tunnel_is_raw(t);
}

/* The peer at the source of f has ended its direction; its last bytes may be unread. */
static bool has_ended(const struct flow *f)
{
	return f->from->input != STREAM_OPEN && f->failure == FLOW_OK;
}

static enum tunnel_peer ended_peers(const struct tunnel *t)
{
	bool client = has_ended(t->backend.flow);
	bool backend = has_ended(t->client.flow);

	if (client && backend)
		return TUNNEL_BOTH;
	return client ? TUNNEL_CLIENT : backend ? TUNNEL_BACKEND : TUNNEL_NEITHER;
}

/* Notes the first Close, and the first end of a direction. */
static void note_ends(struct tunnel *t, uint64_t now_ms)
{
	if (flow_has_closed(t->client.flow))
		t->client.close = TUNNEL_CLOSE_PASSED;
	if (flow_has_closed(t->backend.flow))
		t->backend.close = TUNNEL_CLOSE_PASSED;
	if (t->closed_first == TUNNEL_NEITHER) {
		t->closed_first = flow_has_closed(t->backend.flow)  ? TUNNEL_CLIENT
				  : flow_has_closed(t->client.flow) ? TUNNEL_BACKEND
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
	/* the client gets all that came before, while it reads: next_limit() */
	return flow_pending(down) ? TUNNEL_OPEN : backend_failure(down);
}

static enum tunnel_end find_end(const struct tunnel *t)
{
	const struct flow *up = t->backend.flow, *down = t->client.flow;
	enum tunnel_end end;

	if (flow_has_closed(up) && flow_has_closed(down) && !flow_pending(up) &&
	    !flow_pending(down))
		return TUNNEL_CLOSED;
	end = find_failure(up, down);
	if (end == TUNNEL_OPEN && has_left(t, up))
		return TUNNEL_CLIENT_LEFT;
	if (end == TUNNEL_OPEN && has_left(t, down))
		return TUNNEL_BACKEND_LEFT;
	if (end == TUNNEL_OPEN && direction_finished(up) && direction_finished(down))
		end = TUNNEL_ENDED;
	return end;
}

/* Neither an end nor a failure of that direction is known. */
static bool goes_on(const struct flow *f)
{
	return f->state <= FLOW_READING && f->failure == FLOW_OK &&
	       f->from->input == STREAM_OPEN && !flow_has_closed(f);
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
		tunnel_put_closes(t, now_ms);
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
