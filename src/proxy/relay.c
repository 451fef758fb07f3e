/* SPDX-License-Identifier: MIT */
#include "proxy/relay.h"

/* The most steps between two calls of poll(2). */
#define RELAY_ROUNDS 16

/* ---- one step */

/* The sides that have closed; their last bytes may be unread. */
static enum relay_side closed_sides(const struct relay *r)
{
	bool client = r->up.from->input != STREAM_OPEN;
	bool backend = r->down.from->input != STREAM_OPEN;

	if (client && backend)
		return RELAY_BOTH;
	return client ? RELAY_CLIENT : backend ? RELAY_BACKEND : RELAY_NEITHER;
}

/* Half-close: passes the end of one direction on; the other direction continues. */
static void relay_pass_end(struct relay *r, const struct flow *f)
{
	if (r->closed_first == RELAY_NEITHER)
		r->closed_first = closed_sides(r);
	if (flow_complete(f))
		stream_shut(f->to);
}

/* Writing to the backend has failed. */
static void relay_up_failed(struct relay *r, int error)
{
	if (error == -EPIPE || error == -ECONNRESET || r->up.to->input == STREAM_CUT) {
		flow_close_sink(&r->up); /* a response may have come before that */
		return;
	}
	flow_fail(&r->down, error);
	flow_close_sink(&r->down); /* ends at once, even with bytes for the client */
}

/* Writing to the client has failed. */
static void relay_down_failed(struct relay *r, int error)
{
	if (r->down.to->input == STREAM_CUT)
		flow_close_sink(&r->down); /* the flow up continues */
	else
		flow_fail(&r->up, error);
}

/* One step each way; true if bytes moved. Failures are noted in the flows. */
static bool flows_step(struct relay *r, uint64_t now_ms)
{
	bool head_sent =
		r->phase != RELAY_REQUEST || r->upstream->phase == UPSTREAM_AWAITING;
	int up_error = 0, down_error = 0;
	bool up = head_sent && flow_step(&r->up, now_ms, &up_error);
	bool down = flow_step(&r->down, now_ms, &down_error);

	if (up)
		stream_watch_begin(r->up.to, now_ms, r->gone_ms);
	if (down)
		stream_watch_begin(r->down.to, now_ms, r->gone_ms);
	if (up && r->phase == RELAY_REQUEST)
		upstream_body_sent(r->upstream, now_ms);
	if (up_error < 0)
		relay_up_failed(r, up_error);
	if (down_error < 0)
		relay_down_failed(r, down_error);
	if (r->phase == RELAY_TUNNEL) {
		relay_pass_end(r, &r->up);
		relay_pass_end(r, &r->down);
	}
	return up || down;
}

static bool flows_done(const struct relay *r)
{
	return flow_finished(&r->down) &&
	       (flow_finished(&r->up) || r->response_suffices) &&
	       r->up.to->output != STREAM_OUT_SHUTTING &&
	       r->down.to->output != STREAM_OUT_SHUTTING;
}

/* True if the flows have ended, with *ret. */
static bool flows_ended(const struct relay *r, enum relay_end *ret)
{
	if (r->up.failure != FLOW_OK)
		*ret = RELAY_CLIENT_FAILED;
	else if (r->down.failure != FLOW_OK && !flow_pending(&r->down))
		*ret = RELAY_BACKEND_FAILED;
	else if (r->phase != RELAY_REQUEST && flows_done(r))
		*ret = RELAY_DONE;
	else
		return false;
	return true;
}

/* True if the relay stops with that result of the upstream, with *ret. */
static bool relay_stops(enum upstream_result result, enum relay_end *ret)
{
	*ret = result == UPSTREAM_RESPONSE ? RELAY_RESPONSE : RELAY_UPSTREAM_FAILED;
	return result != UPSTREAM_WAITING;
}

/* A step of the upstream; true if the relay stops, with *ret. *moved is set for progress. */
static bool relay_step_upstream(struct relay *r, uint64_t now_ms, bool *moved,
				enum relay_end *ret)
{
	struct upstream *u = r->upstream;
	enum upstream_phase before = u->phase;
	enum upstream_result result;

	if (flow_pending(&r->down)) /* back-pressure: the client has not read all */
		return false;
	result = upstream_step(u);
	if (before == UPSTREAM_SENDING && u->phase == UPSTREAM_AWAITING) {
		stream_watch_begin(&u->stream, now_ms, r->gone_ms);
		flow_touch(&r->up, now_ms); /* BodyTimeoutSec= begins */
	}
	/* a dial looks at the clock itself */
	*moved |= u->phase != before || before == UPSTREAM_DIALLING;
	return relay_stops(result, ret);
}

static bool relay_ready(const struct relay *r)
{
	const struct upstream *u = r->upstream;

	if (r->phase == RELAY_REQUEST) {
		if (!flow_pending(&r->down) && upstream_ready(u))
			return true;
		if (u->phase != UPSTREAM_AWAITING)
			return flow_ready(&r->down);
	}
	return flow_ready(&r->up) || flow_ready(&r->down);
}

/* Steps until nothing more is ready; true if the relay stops, with *ret. */
static bool relay_steps(struct relay *r, uint64_t now_ms, enum relay_end *ret)
{
	bool more = true;

	for (int round = 0; more && round < RELAY_ROUNDS; round++) {
		bool moved = flows_step(r, now_ms);

		if (flows_ended(r, ret))
			return true;
		if (r->phase == RELAY_REQUEST &&
		    relay_step_upstream(r, now_ms, &moved, ret))
			return true;
		r->moved |= moved;
		more = moved && relay_ready(r);
	}
	return false;
}

/* ---- deadlines */

/* A peer that no longer acknowledges what was sent to it has failed; true if the relay stops. */
static bool relay_check_peers(struct relay *r, uint64_t now_ms, enum relay_end *ret)
{
	if (stream_watch_gone(r->down.to, now_ms, r->gone_ms))
		flow_fail(&r->up, -ETIMEDOUT);
	if (!stream_watch_gone(r->up.to, now_ms, r->gone_ms))
		return false;
	if (r->phase == RELAY_REQUEST)
		return relay_stops(upstream_broken(r->upstream, -ETIMEDOUT), ret);
	flow_fail(&r->down, -ETIMEDOUT);
	return false;
}

/* The time of the next such check. */
static uint64_t check_ms(const struct relay *r)
{
	uint64_t up_ms = r->up.to->watch.look_ms, down_ms = r->down.to->watch.look_ms;

	return up_ms < down_ms ? up_ms : down_ms;
}

static uint64_t tunnel_deadline(const struct relay *r, enum relay_end *ret)
{
	const struct flow *up = &r->up, *down = &r->down;
	uint64_t last_ms = up->moved_ms > down->moved_ms ? up->moved_ms : down->moved_ms;
	/* LingerTimeoutSec=0 starts only after all bytes before the end are passed on */
	bool ending = flow_finished(up) || flow_finished(down) ||
		      (r->closed_first != RELAY_NEITHER && r->cfg->linger_ms > 0);
	uint64_t span_ms = ending ? r->cfg->linger_ms : r->cfg->idle_ms;

	*ret = ending ? RELAY_LINGER_TIMEOUT : RELAY_IDLE_TIMEOUT;
	if ((up->releasable || down->releasable) && r->release_ms < span_ms) {
		*ret = RELAY_RELEASE;
		span_ms = r->release_ms;
	}
	return clock_deadline_ms(last_ms, span_ms);
}

/* For the request's body while it is sent, else for the response. */
static uint64_t request_deadline(const struct relay *r, enum relay_end *ret)
{
	const struct flow *up = &r->up;
	bool body_waits = r->expects && up->bytes == 0;

	if (r->upstream->phase != UPSTREAM_AWAITING || flow_finished(up) || body_waits) {
		*ret = RELAY_UPSTREAM_FAILED;
		return upstream_deadline_ms(r->upstream);
	}
	*ret = flow_pending(up) ? RELAY_BACKEND_TIMEOUT : RELAY_CLIENT_TIMEOUT;
	return clock_deadline_ms(up->moved_ms, r->cfg->body_ms);
}

static uint64_t body_deadline(const struct relay *r, enum relay_end *ret)
{
	const struct flow *up = &r->up, *down = &r->down;
	uint64_t up_ms = flow_finished(up) ? CLOCK_INFINITY : up->moved_ms;
	uint64_t down_ms = flow_finished(down) ? CLOCK_INFINITY : down->moved_ms;

	if (up_ms <= down_ms)
		*ret = flow_pending(up) ? RELAY_BACKEND_TIMEOUT : RELAY_CLIENT_TIMEOUT;
	else
		*ret = flow_pending(down) ? RELAY_CLIENT_TIMEOUT : RELAY_BACKEND_TIMEOUT;
	return clock_deadline_ms(up_ms <= down_ms ? up_ms : down_ms, r->cfg->body_ms);
}

/* The next deadline, with *ret for when it passes. */
static uint64_t relay_deadline(const struct relay *r, enum relay_end *ret)
{
	switch (r->phase) {
	case RELAY_REQUEST: return request_deadline(r, ret);
	case RELAY_BODY: return body_deadline(r, ret);
	case RELAY_TUNNEL: break;
	}
	return tunnel_deadline(r, ret);
}

/* ---- waits */

static struct pollfd poll_flows(const struct relay *r, const struct flow *from,
				const struct flow *to)
{
	const struct stream *s = from->from;
	int events = stream_events(s, flow_wants_input(from), flow_pending(to));

	if (r->phase == RELAY_TUNNEL && s->input == STREAM_OPEN)
		events |= POLLRDHUP; /* only once: poll(2) would tell again and again */
	return (struct pollfd){ .fd = s->fd, .events = (short)events };
}

static struct pollfd poll_client(const struct relay *r, bool hangup_seen)
{
	struct pollfd p = poll_flows(r, &r->up, &r->down);

	if (r->phase == RELAY_REQUEST && r->upstream->phase != UPSTREAM_AWAITING)
		p.events = stream_events(r->up.from, false, flow_pending(&r->down));
	/* without events poll(2) still reports a reset, but also each hang-up again and again */
	if (p.events == 0 && hangup_seen)
		p.fd = -1;
	return p;
}

static struct pollfd poll_backend(const struct relay *r)
{
	bool back_pressure = flow_pending(&r->down); /* as in relay_step_upstream() */
	struct pollfd p;

	if (r->phase != RELAY_REQUEST)
		p = poll_flows(r, &r->down, &r->up);
	else if (back_pressure && r->upstream->phase == UPSTREAM_AWAITING)
		p = (struct pollfd){ .fd = r->up.to->fd,
				     .events = stream_events(r->up.to, false,
							     flow_pending(&r->up)) };
	else
		p = upstream_poll(r->upstream, flow_pending(&r->up));
	if (p.events == 0)
		p.fd = -1;
	return p;
}

static void note_events(struct flow *f, short revents)
{
	if (revents & POLLRDHUP)
		flow_touch(f, clock_ms()); /* LingerTimeoutSec= begins */
	stream_note_events(f->from, revents);
}

static void relay_note_events(struct relay *r, const struct pollfd *client,
			      const struct pollfd *backend)
{
	if ((client->events & ~POLLRDHUP) == 0 && client->revents & POLLERR)
		flow_fail(&r->up, -ECONNRESET);
	note_events(&r->up, client->revents);
	if (r->phase == RELAY_REQUEST)
		upstream_note_events(r->upstream, backend->revents);
	else
		note_events(&r->down, backend->revents);
}

/* Waits for an event. 0; -ETIMEDOUT if the deadline of *ret has passed; or another -errno. */
static int relay_wait(struct relay *r, uint64_t now_ms, bool *hangup_seen,
		      enum relay_end *ret)
{
	struct pollfd p[] = {
		{ .fd = r->sigfd },
		poll_client(r, *hangup_seen),
		poll_backend(r),
	};
	bool ready = relay_ready(r);
	uint64_t deadline_ms = relay_deadline(r, ret), wake_ms = check_ms(r);
	int n;

	if (wake_ms > deadline_ms)
		wake_ms = deadline_ms;
	n = clock_wait(p, 3, now_ms, ready ? now_ms : wake_ms);
	if (n < 0 && n != -ETIMEDOUT)
		return n;
	/* an event of TLS may bring no payload: then it does not extend the deadline */
	if (!ready && (n == -ETIMEDOUT || !r->moved) && clock_ms() >= deadline_ms)
		return -ETIMEDOUT;
	r->moved = false;
	*hangup_seen |= (p[1].revents & POLLHUP) != 0;
	if (n > 0)
		relay_note_events(r, &p[1], &p[2]);
	return 0;
}

/* After relay_wait() has failed with error; true if the relay stops, with *ret. */
static bool wait_failed(struct relay *r, int error, enum relay_end *ret)
{
	if (error == -ECANCELED)
		*ret = RELAY_TERMINATED;
	else if (error != -ETIMEDOUT)
		*ret = RELAY_POLL_FAILED;
	else if (*ret == RELAY_UPSTREAM_FAILED)
		return relay_stops(upstream_expire(r->upstream), ret);
	return true;
}

enum relay_end relay_run(struct relay *r, int *ret_error)
{
	bool hangup_seen = false;
	enum relay_end end;
	int error;

	for (;;) {
		uint64_t now_ms = clock_ms();

		if (now_ms >= check_ms(r) && relay_check_peers(r, now_ms, &end))
			break;
		if (relay_steps(r, now_ms, &end))
			break;
		error = relay_wait(r, now_ms, &hangup_seen, &end);
		if (error < 0 && wait_failed(r, error, &end)) {
			*ret_error = error;
			break;
		}
		if (error == 0 && flows_ended(r, &end))
			break;
	}
	if (end == RELAY_RELEASE) {
		flow_release(&r->up);
		flow_release(&r->down);
	}
	return end;
}
