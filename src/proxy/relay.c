/* SPDX-License-Identifier: MIT */
/* Moves two flows until both have ended: the poll loop. */
#include "proxy/relay.h"

#include "net/wait.h"

/* Steps before the loop looks at its signal and at the other end's events again. */
#define RELAY_ROUNDS 16

/* Whose end is there, read or seen behind bytes that nobody takes. */
static enum relay_first relay_first(const struct relay *r)
{
	const struct stream *client = r->up.from, *backend = r->down.from;
	bool up = client->input != STREAM_OPEN, down = backend->input != STREAM_OPEN;

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

/*
 * TLS without its close_notify: in a tunnel an end as any other, since the frames tell whether
 * something is missing. What came before it goes on, so it must not become a reset.
 */
static void relay_take_cut(struct flow *f)
{
	if (f->error != -ECONNABORTED)
		return;
	f->error = 0;
	f->body.done = true;
}

/* One step each way. What went wrong stands in up.error (client) or down.error (backend). */
static bool relay_step(struct relay *r, uint64_t now_ms)
{
	int up_error = 0, down_error = 0;
	bool up = flow_step(&r->up, now_ms, &up_error);
	bool down = flow_step(&r->down, now_ms, &down_error);

	if (r->tunnel) {
		relay_take_cut(&r->up);
		relay_take_cut(&r->down);
	}
	if (up)
		stream_watch_begin(r->up.to, now_ms, r->gone_ms);
	if (down)
		stream_watch_begin(r->down.to, now_ms, r->gone_ms);
	if (up_error == -EPIPE || up_error == -ECONNRESET ||
	    (up_error < 0 && r->up.to->input == STREAM_CUT)) {
		r->up.deaf = true; /* an answer may have come before the end */
	} else if (up_error < 0) {
		r->down.error = up_error;
		r->down.deaf = true; /* ends at once, whatever the client has not taken */
	}
	if (down_error < 0 && r->down.to->input == STREAM_CUT)
		r->down.deaf = r->down.body.done =
			true; /* what the client sent goes on */
	else if (down_error < 0)
		r->up.error = down_error;
	if (r->tunnel) {
		relay_pass_end(r, &r->up);
		relay_pass_end(r, &r->down);
	}
	r->moved |= up || down;
	return up || down;
}

/* A peer that no longer acknowledges what it is sent has failed. */
static void relay_look(struct relay *r, uint64_t now_ms)
{
	if (stream_watch_gone(r->down.to, now_ms, r->gone_ms) && r->up.error == 0)
		r->up.error = -ETIMEDOUT;
	if (stream_watch_gone(r->up.to, now_ms, r->gone_ms) && r->down.error == 0)
		r->down.error = -ETIMEDOUT;
}

/* When to look next. */
static uint64_t look_ms(const struct relay *r)
{
	uint64_t up_ms = r->up.to->watch.look_ms, down_ms = r->down.to->watch.look_ms;

	return up_ms < down_ms ? up_ms : down_ms;
}

/* Whether the flows' state says that it is over, and how. */
static bool relay_over(const struct relay *r, enum relay_end *ret)
{
	const struct flow *up = &r->up, *down = &r->down;
	bool shutting = up->to->output == STREAM_OUT_SHUTTING ||
			down->to->output == STREAM_OUT_SHUTTING;

	if (up->error < 0)
		*ret = RELAY_CLIENT_FAILED;
	else if (down->error < 0 && !flow_pending(down))
		*ret = RELAY_BACKEND_FAILED;
	else if (!shutting && flow_ended(down) &&
		 (flow_ended(up) || up->deaf || r->down_suffices))
		*ret = RELAY_DONE;
	else
		return false;
	return true;
}

static uint64_t tunnel_deadline(const struct relay *r, enum relay_end *ret)
{
	const struct flow *up = &r->up, *down = &r->down;
	uint64_t last_ms = up->moved_ms > down->moved_ms ? up->moved_ms : down->moved_ms;
	/* a span of 0 begins once all has been passed on that came before the end */
	bool ending = flow_ended(up) || up->deaf || flow_ended(down) ||
		      (r->first != RELAY_NEITHER && r->linger_ms > 0);
	uint64_t span_ms = ending ? r->linger_ms : r->idle_ms;

	*ret = ending ? RELAY_LINGER_TIMEOUT : RELAY_IDLE_TIMEOUT;
	if ((up->grown || down->grown) && r->rest_ms < span_ms) {
		*ret = RELAY_RESTS;
		span_ms = r->rest_ms;
	}
	return clock_deadline_ms(last_ms, span_ms);
}

/* The next deadline, and what it means when it passes. */
static uint64_t relay_deadline(const struct relay *r, enum relay_end *ret)
{
	const struct flow *up = &r->up, *down = &r->down;
	bool up_over = flow_ended(up) || up->deaf;
	uint64_t deadline_ms = CLOCK_INFINITY, down_ms;

	if (r->tunnel)
		return tunnel_deadline(r, ret);
	if (down->waiting && (up_over || (r->expects && up->bytes == 0))) {
		*ret = RELAY_ANSWER_TIMEOUT;
		return clock_deadline_ms(up->moved_ms, r->answer_ms);
	}
	if (!up_over) {
		*ret = flow_pending(up) ? RELAY_BACKEND_TIMEOUT : RELAY_CLIENT_TIMEOUT;
		deadline_ms = clock_deadline_ms(up->moved_ms, r->body_ms);
	}
	if (down->waiting)
		return deadline_ms;
	down_ms = clock_deadline_ms(down->moved_ms, r->body_ms);
	if (!flow_ended(down) && down_ms < deadline_ms) {
		*ret = flow_pending(down) ? RELAY_CLIENT_TIMEOUT : RELAY_BACKEND_TIMEOUT;
		deadline_ms = down_ms;
	}
	return deadline_ms;
}

static struct pollfd poll_for(const struct relay *r, const struct flow *from,
			      const struct flow *to)
{
	const struct stream *s = from->from;
	int events = stream_events(s, flow_hungry(from), flow_pending(to));

	if (r->tunnel)
		events |= stream_end_events(s);
	return (struct pollfd){ .fd = s->fd, .events = (short)events };
}

static void take_events(struct flow *f, short revents)
{
	if (revents & POLLRDHUP)
		f->moved_ms = clock_ms(); /* LingerTimeoutSec= begins */
	stream_take_events(f->from, revents);
}

static bool relay_ready(const struct relay *r)
{
	return flow_ready(&r->up) || flow_ready(&r->down);
}

/* Waits for an event: true, or false with the end that came instead. */
static bool relay_wait(struct relay *r, uint64_t now_ms, bool *client_hup,
		       enum relay_end *ret)
{
	struct pollfd p[] = {
		{ .fd = r->sigfd },
		poll_for(r, &r->up, &r->down),
		poll_for(r, &r->down, &r->up),
	};
	bool ready = relay_ready(r);
	uint64_t deadline_ms = relay_deadline(r, ret), wake_ms = look_ms(r);
	int n;

	/* with nothing to ask for, a reset of the client is still news, a POLLHUP once only */
	if (p[1].events == 0 && *client_hup)
		p[1].fd = -1;
	if (p[2].events == 0)
		p[2].fd = -1;
	if (wake_ms > deadline_ms)
		wake_ms = deadline_ms;
	n = wait_poll(p, 3, now_ms, ready ? now_ms : wake_ms);
	if (n < 0 && n != -ETIMEDOUT) {
		*ret = n == -ECANCELED ? RELAY_TERMINATED : RELAY_FAULT;
		return false;
	}
	/* TLS has events that bring nothing, which must not put off the end */
	if (!ready && (n < 0 || !r->moved) && clock_ms() >= deadline_ms)
		return false;
	r->moved = false;
	if ((p[1].events & ~POLLRDHUP) == 0 && p[1].revents & POLLERR)
		r->up.error = -ECONNRESET;
	*client_hup |= (p[1].revents & POLLHUP) != 0;
	take_events(&r->up, p[1].revents);
	take_events(&r->down, p[2].revents);
	return true;
}

enum relay_end relay_run(struct relay *r)
{
	bool client_hup = false;
	enum relay_end end;

	for (;;) {
		uint64_t now_ms = clock_ms();
		bool more = true;

		if (now_ms >= look_ms(r))
			relay_look(r, now_ms);
		for (int round = 0; more && round < RELAY_ROUNDS; round++) {
			size_t seen = buf_len(r->down.in);

			more = relay_step(r, now_ms) && relay_ready(r);
			if (relay_over(r, &end))
				return end;
			if (r->down.waiting &&
			    (buf_len(r->down.in) > seen || stream_ended(r->down.from)))
				return RELAY_INPUT;
		}
		if (!relay_wait(r, now_ms, &client_hup, &end) || relay_over(r, &end))
			break;
	}
	if (end == RELAY_RESTS) {
		flow_rest(&r->up);
		flow_rest(&r->down);
	}
	return end;
}
