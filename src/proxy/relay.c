/* SPDX-License-Identifier: MIT */
/* The poll loop of one exchange: steps, deadlines, waits. */
#include "proxy/relay.h"

#include "net/wait.h"

/* Steps before the loop looks at its signal and at the other end's events again. */
#define RELAY_ROUNDS 16

/* ---- one step */

/* Whose end is there, read or seen behind bytes that nobody takes. */
static enum relay_first relay_first(const struct relay *r)
{
	bool up = r->up.from->input != STREAM_OPEN;
	bool down = r->down.from->input != STREAM_OPEN;

	if (up && down)
		return RELAY_BOTH;
	return up ? RELAY_UP : down ? RELAY_DOWN : RELAY_NEITHER;
}

/* Half-close: the end of one direction is passed on, the other goes on. */
static void relay_pass_end(struct relay *r, const struct flow *f)
{
	if (r->first == RELAY_NEITHER)
		r->first = relay_first(r);
	if (flow_ended(f))
		stream_shut(f->to);
}

/* Writing to the backend has failed. */
static void relay_up_failed(struct relay *r, int error)
{
	if (error == -EPIPE || error == -ECONNRESET || r->up.to->input == STREAM_CUT) {
		flow_close_sink(&r->up); /* a response may have come before the end */
		return;
	}
	flow_fail(&r->down, error);
	flow_close_sink(&r->down); /* ends at once, whatever the client has not taken */
}

/* Writing to the client has failed. */
static void relay_down_failed(struct relay *r, int error)
{
	if (r->down.to->input == STREAM_CUT)
		flow_close_sink(&r->down); /* what the client sent goes on */
	else
		flow_fail(&r->up, error);
}

/* One step each way; true if something moved. Failures stand in the flows. */
static bool flows_step(struct relay *r, uint64_t now_ms)
{
	bool carries =
		r->phase != RELAY_REQUEST || r->upstream->phase == UPSTREAM_AWAITING;
	int up_error = 0, down_error = 0;
	bool up = carries && flow_step(&r->up, now_ms, &up_error);
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

/* Both flows have ended as they should, or the response suffices. */
static bool flows_done(const struct relay *r)
{
	return flow_over(&r->down) && (flow_over(&r->up) || r->down_suffices) &&
	       r->up.to->output != STREAM_OUT_SHUTTING &&
	       r->down.to->output != STREAM_OUT_SHUTTING;
}

/* Do the flows' states say that it is over, and how? */
static bool flows_over(const struct relay *r, enum relay_end *ret)
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

/* The result of a step of the upstream; true where the relay stops for it. */
static bool upstream_over(enum upstream_result result, enum relay_end *ret)
{
	switch (result) {
	case UPSTREAM_RESPONSE: *ret = RELAY_RESPONSE; return true;
	case UPSTREAM_FAILED: *ret = RELAY_UPSTREAM_FAILED; return true;
	case UPSTREAM_WAITING: break;
	}
	return false;
}

/* The upstream's step while a response is awaited; *moved tells of a head that was sent. */
static bool upstream_moves(struct relay *r, uint64_t now_ms, bool *moved,
			   enum relay_end *ret)
{
	struct upstream *u = r->upstream;
	enum upstream_phase before = u->phase;
	enum upstream_result result;

	if (flow_pending(&r->down)) /* back-pressure: the client takes what came before */
		return false;
	result = upstream_step(u);
	if (before == UPSTREAM_SENDING && u->phase == UPSTREAM_AWAITING) {
		stream_watch_begin(&u->stream, now_ms, r->gone_ms);
		flow_touch(&r->up, now_ms); /* BodyTimeoutSec= begins */
	}
	*moved |= u->phase != before;
	return upstream_over(result, ret);
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

/* Steps until nothing more is ready; true where the relay stops, with *ret. */
static bool relay_steps(struct relay *r, uint64_t now_ms, enum relay_end *ret)
{
	bool more = true;

	for (int round = 0; more && round < RELAY_ROUNDS; round++) {
		bool moved = flows_step(r, now_ms);

		if (flows_over(r, ret))
			return true;
		if (r->phase == RELAY_REQUEST && upstream_moves(r, now_ms, &moved, ret))
			return true;
		r->moved |= moved;
		more = moved && relay_ready(r);
	}
	return false;
}

/* ---- deadlines */

/* A peer that no longer acknowledges what it is sent has failed; true where the relay stops. */
static bool relay_look(struct relay *r, uint64_t now_ms, enum relay_end *ret)
{
	if (stream_watch_gone(r->down.to, now_ms, r->gone_ms))
		flow_fail(&r->up, -ETIMEDOUT);
	if (!stream_watch_gone(r->up.to, now_ms, r->gone_ms))
		return false;
	if (r->phase == RELAY_REQUEST)
		return upstream_over(upstream_broken(r->upstream, -ETIMEDOUT), ret);
	flow_fail(&r->down, -ETIMEDOUT);
	return false;
}

/* When to look next. */
static uint64_t look_ms(const struct relay *r)
{
	uint64_t up_ms = r->up.to->watch.look_ms, down_ms = r->down.to->watch.look_ms;

	return up_ms < down_ms ? up_ms : down_ms;
}

static uint64_t tunnel_deadline(const struct relay *r, enum relay_end *ret)
{
	const struct flow *up = &r->up, *down = &r->down;
	uint64_t last_ms = up->moved_ms > down->moved_ms ? up->moved_ms : down->moved_ms;
	/* a span of 0 begins once all has been passed on that came before the end */
	bool ending = flow_over(up) || flow_over(down) ||
		      (r->first != RELAY_NEITHER && r->cfg->linger_ms > 0);
	uint64_t span_ms = ending ? r->cfg->linger_ms : r->cfg->idle_ms;

	*ret = ending ? RELAY_LINGER_TIMEOUT : RELAY_IDLE_TIMEOUT;
	if ((up->grown || down->grown) && r->rest_ms < span_ms) {
		*ret = RELAY_AT_REST;
		span_ms = r->rest_ms;
	}
	return clock_deadline_ms(last_ms, span_ms);
}

/* The request: its body has to make progress; once it has gone, the response is awaited. */
static uint64_t request_deadline(const struct relay *r, enum relay_end *ret)
{
	const struct flow *up = &r->up;
	bool body_waits = r->expects && up->bytes == 0;

	if (r->upstream->phase != UPSTREAM_AWAITING || flow_over(up) || body_waits) {
		*ret = RELAY_UPSTREAM_FAILED;
		return upstream_deadline_ms(r->upstream);
	}
	*ret = flow_pending(up) ? RELAY_BACKEND_TIMEOUT : RELAY_CLIENT_TIMEOUT;
	return clock_deadline_ms(up->moved_ms, r->cfg->body_ms);
}

static uint64_t body_deadline(const struct relay *r, enum relay_end *ret)
{
	const struct flow *up = &r->up, *down = &r->down;
	uint64_t up_ms = flow_over(up) ? CLOCK_INFINITY : up->moved_ms;
	uint64_t down_ms = flow_over(down) ? CLOCK_INFINITY : down->moved_ms;

	if (up_ms <= down_ms)
		*ret = flow_pending(up) ? RELAY_BACKEND_TIMEOUT : RELAY_CLIENT_TIMEOUT;
	else
		*ret = flow_pending(down) ? RELAY_CLIENT_TIMEOUT : RELAY_BACKEND_TIMEOUT;
	return clock_deadline_ms(up_ms <= down_ms ? up_ms : down_ms, r->cfg->body_ms);
}

/* The next deadline, and what it means when it passes. */
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
	int events = stream_events(s, flow_hungry(from), flow_pending(to));

	if (r->phase == RELAY_TUNNEL)
		events |= stream_end_events(s);
	return (struct pollfd){ .fd = s->fd, .events = (short)events };
}

static struct pollfd poll_client(const struct relay *r, bool had_hangup)
{
	struct pollfd p = poll_flows(r, &r->up, &r->down);

	if (r->phase == RELAY_REQUEST && r->upstream->phase != UPSTREAM_AWAITING)
		p.events = stream_events(r->up.from, false, flow_pending(&r->down));
	/* with nothing to ask for, a reset is still news, a POLLHUP once only */
	if (p.events == 0 && had_hangup)
		p.fd = -1;
	return p;
}

static struct pollfd poll_backend(const struct relay *r)
{
	bool held = flow_pending(&r->down); /* back-pressure, as in upstream_moves() */
	struct pollfd p;

	if (r->phase != RELAY_REQUEST)
		p = poll_flows(r, &r->down, &r->up);
	else if (held && r->upstream->phase == UPSTREAM_AWAITING)
		p = (struct pollfd){ .fd = r->up.to->fd,
				     .events = stream_events(r->up.to, false,
							     flow_pending(&r->up)) };
	else
		p = upstream_poll(r->upstream, flow_pending(&r->up));
	if (p.events == 0)
		p.fd = -1;
	return p;
}

static void take_events(struct flow *f, short revents)
{
	if (revents & POLLRDHUP)
		flow_touch(f, clock_ms()); /* LingerTimeoutSec= begins */
	stream_take_events(f->from, revents);
}

static void relay_take_events(struct relay *r, const struct pollfd *client,
			      const struct pollfd *backend)
{
	if ((client->events & ~POLLRDHUP) == 0 && client->revents & POLLERR)
		flow_fail(&r->up, -ECONNRESET);
	take_events(&r->up, client->revents);
	if (r->phase == RELAY_REQUEST)
		upstream_take_events(r->upstream, backend->revents);
	else
		take_events(&r->down, backend->revents);
}

/* Waits for an event: 0, or -errno with -ETIMEDOUT and what has passed in *ret. */
static int relay_wait(struct relay *r, uint64_t now_ms, bool *had_hangup,
		      enum relay_end *ret)
{
	struct pollfd p[] = {
		{ .fd = r->sigfd },
		poll_client(r, *had_hangup),
		poll_backend(r),
	};
	bool ready = relay_ready(r);
	uint64_t deadline_ms = relay_deadline(r, ret), wake_ms = look_ms(r);
	int n;

	if (wake_ms > deadline_ms)
		wake_ms = deadline_ms;
	n = wait_poll(p, 3, now_ms, ready ? now_ms : wake_ms);
	if (n < 0 && n != -ETIMEDOUT)
		return n;
	/* TLS has events that bring nothing, which must not put off the end */
	if (!ready && (n == -ETIMEDOUT || !r->moved) && clock_ms() >= deadline_ms)
		return -ETIMEDOUT;
	r->moved = false;
	*had_hangup |= (p[1].revents & POLLHUP) != 0;
	if (n > 0)
		relay_take_events(r, &p[1], &p[2]);
	return 0;
}

/* The wait has ended with an error, or a deadline has passed; true where the relay stops. */
static bool wait_over(struct relay *r, int error, enum relay_end *ret)
{
	if (error == -ECANCELED)
		*ret = RELAY_TERMINATED;
	else if (error != -ETIMEDOUT)
		*ret = RELAY_POLL_FAILED;
	else if (*ret == RELAY_UPSTREAM_FAILED)
		return upstream_over(upstream_expire(r->upstream), ret);
	return true;
}

enum relay_end relay_run(struct relay *r, int *ret_error)
{
	bool had_hangup = false;
	enum relay_end end;
	int error;

	for (;;) {
		uint64_t now_ms = clock_ms();

		if (now_ms >= look_ms(r) && relay_look(r, now_ms, &end))
			break;
		if (relay_steps(r, now_ms, &end))
			break;
		error = relay_wait(r, now_ms, &had_hangup, &end);
		if (error < 0 && wait_over(r, error, &end)) {
			*ret_error = error;
			break;
		}
		if (error == 0 && flows_over(r, &end))
			break;
	}
	if (end == RELAY_AT_REST) {
		flow_rest(&r->up);
		flow_rest(&r->down);
	}
	return end;
}
