/* SPDX-License-Identifier: MIT */
#include "proxy/relay.h"

/* The most steps between two calls of poll(2). */
#define RELAY_ROUNDS 16

/* Maps enum upstream_result. */
static const enum relay_result result_of[] = {
	[UPSTREAM_WAITING] = RELAY_RUNNING,
	[UPSTREAM_RESPONSE] = RELAY_RESPONSE,
	[UPSTREAM_FAILED] = RELAY_UPSTREAM_FAILED,
};

/* ---- one step */

/* The backend has the request's head, so that the body follows. */
static bool head_sent(const struct relay *r)
{
	return r->phase != RELAY_REQUEST || r->upstream->phase == UPSTREAM_AWAITING;
}

/* The tunnel is ending, so that a failed write to a peer is no new failure. */
static bool tunnel_ends(const struct relay *r)
{
	return r->phase == RELAY_TUNNEL && r->tunnel.end != TUNNEL_OPEN;
}

/* Writing to the backend has failed. */
static void relay_backend_write_failed(struct relay *r, int error)
{
	if (tunnel_ends(r) || error == -EPIPE || error == -ECONNRESET ||
	    r->up.to->input == STREAM_CUT) {
		flow_note_target_closed(&r->up); /* a response may have come already */
		return;
	}
	flow_fail(&r->down, error);
	/* drops the bytes for the client, so that flows_result() reports the failure immediately */
	if (r->phase != RELAY_TUNNEL)
		flow_note_target_closed(&r->down);
	else if (!stream_error_is_local(r->down.error)) /* of the first failure */
		flow_note_target_closed(&r->up);
}

/* The client's connection is broken, but what it had sent before, perhaps a Close, can still be read. */
static void read_last_bytes(struct flow *up, uint64_t now_ms)
{
	int error = 0;

	up->from->can_read = true;
	while (!flow_pending(up) && flow_step(up, now_ms, &error))
		;
}

/* Writing to the client has failed. */
static void relay_client_write_failed(struct relay *r, int error, uint64_t now_ms)
{
	if (tunnel_ends(r) || r->down.to->input == STREAM_CUT) {
		flow_note_target_closed(&r->down); /* the flow up continues */
		return;
	}
	if (r->phase == RELAY_TUNNEL)
		read_last_bytes(&r->up, now_ms);
	flow_fail(&r->up, error);
}

/* If the response suffices, the client need not complete its body; its connection may still fail later. */
static void forgive_body(struct relay *r)
{
	if (r->up.failure == FLOW_OK || r->up.failure == FLOW_FAILED)
		return;
	r->up.failure = FLOW_OK;
	flow_note_target_closed(&r->up);
}

/* One step each way; true for progress. Failures are noted in the flows. */
static bool flows_step(struct relay *r, uint64_t now_ms)
{
	int up_error = 0, down_error = 0;
	bool up = head_sent(r) && flow_step(&r->up, now_ms, &up_error);
	bool down = flow_step(&r->down, now_ms, &down_error);

	if (up)
		stream_watch_begin(r->up.to, now_ms, r->gone_ms);
	if (down)
		stream_watch_begin(r->down.to, now_ms, r->gone_ms);
	if (up && r->phase == RELAY_REQUEST)
		upstream_body_sent(r->upstream, now_ms);
	if (r->response_suffices)
		forgive_body(r);
	if (up_error < 0)
		relay_backend_write_failed(r, up_error);
	if (down_error < 0)
		relay_client_write_failed(r, down_error, now_ms);
	if (r->phase == RELAY_TUNNEL)
		tunnel_step(&r->tunnel, now_ms);
	return up || down;
}

static bool flows_done(const struct relay *r)
{
	return flow_finished(&r->down) && (flow_finished(&r->up) || r->response_suffices);
}

static enum relay_result flows_result(const struct relay *r, uint64_t now_ms)
{
	if (r->phase == RELAY_TUNNEL)
		return tunnel_over(&r->tunnel, now_ms) ? RELAY_TUNNEL_OVER
						       : RELAY_RUNNING;
	if (r->up.failure != FLOW_OK)
		return RELAY_CLIENT_FAILED;
	if (r->down.failure != FLOW_OK && !flow_pending(&r->down))
		return RELAY_BACKEND_FAILED;
	return r->phase != RELAY_REQUEST && flows_done(r) ? RELAY_DONE : RELAY_RUNNING;
}

/* A step of the upstream; *moved is set for progress. */
static enum relay_result relay_step_upstream(struct relay *r, uint64_t now_ms,
					     bool *moved)
{
	struct upstream *u = r->upstream;
	enum upstream_phase before = u->phase;
	enum upstream_result result;

	if (flow_pending(&r->down)) /* back-pressure: the client has not read all */
		return RELAY_RUNNING;
	result = upstream_step(u);
	if (before == UPSTREAM_SENDING &&
	    (u->phase == UPSTREAM_AWAITING || u->phase == UPSTREAM_RESPONDED)) {
		stream_watch_begin(&u->stream, now_ms, r->gone_ms);
		flow_touch(&r->up, now_ms); /* BodyTimeoutSec= begins */
	}
	/* a step of a dial counts as progress: dial_step(), not relay_wait(), checks its deadline */
	*moved |= u->phase != before || before == UPSTREAM_DIALLING;
	return result_of[result];
}

static bool relay_ready(const struct relay *r)
{
	if (r->phase == RELAY_REQUEST && !flow_pending(&r->down) &&
	    upstream_ready(r->upstream))
		return true;
	return flow_ready(&r->down) || (head_sent(r) && flow_ready(&r->up));
}

/* Steps until nothing more is ready. */
static enum relay_result relay_steps(struct relay *r, uint64_t now_ms)
{
	enum relay_result end = RELAY_RUNNING;
	bool more = true;

	for (int round = 0; more && round < RELAY_ROUNDS; round++) {
		bool moved = flows_step(r, now_ms);

		end = flows_result(r, now_ms);
		if (end == RELAY_RUNNING && r->phase == RELAY_REQUEST)
			end = relay_step_upstream(r, now_ms, &moved);
		r->moved |= moved;
		r->ready = end == RELAY_RUNNING && relay_ready(r);
		more = moved && r->ready;
	}
	return end;
}

/* A step of the authorization of a tunnel. */
static enum relay_result relay_recheck(struct relay *r, uint64_t now_ms)
{
	enum recheck_result result;

	if (tunnel_ends(r)) {
		recheck_stop(r->recheck);
		return RELAY_RUNNING;
	}
	result = recheck_step(r->recheck, now_ms);
	if (result == RECHECK_WAITING)
		return RELAY_RUNNING;
	r->down.releasable = true; /* it has used memory */
	if (result == RECHECK_DENIED)
		tunnel_stop(&r->tunnel, TUNNEL_UNAUTHORIZED, now_ms);
	return result == RECHECK_FAILED ? RELAY_UNDECIDED : RELAY_RUNNING;
}

/* ---- deadlines */

/* A peer that no longer acknowledges what was sent to it has failed. */
static enum relay_result relay_check_peers(struct relay *r, uint64_t now_ms)
{
	if (stream_peer_gone(r->down.to, now_ms, r->gone_ms))
		flow_fail(&r->up, -ETIMEDOUT);
	if (!stream_peer_gone(r->up.to, now_ms, r->gone_ms))
		return RELAY_RUNNING;
	if (r->phase == RELAY_REQUEST)
		return result_of[upstream_broken(r->upstream, -ETIMEDOUT)];
	flow_fail(&r->down, -ETIMEDOUT);
	return RELAY_RUNNING;
}

/* When relay_check_peers() is due. */
static uint64_t check_ms(const struct relay *r)
{
	return clock_earlier(r->up.to->watch.look_ms, r->down.to->watch.look_ms);
}

/* When the body of f counts as stalled; *ret names the peer at fault. */
static uint64_t flow_deadline(const struct relay *r, const struct flow *f,
			      enum relay_result *ret)
{
	const struct stream *awaited = flow_pending(f) ? f->to : f->from;

	*ret = awaited == r->up.to ? RELAY_BACKEND_TIMEOUT : RELAY_CLIENT_TIMEOUT;
	return flow_finished(f) ? CLOCK_INFINITY
				: clock_deadline_ms(f->moved_ms, r->cfg->body_ms);
}

/* For the request's body while it is sent, else for the response. */
static uint64_t request_deadline(const struct relay *r, enum relay_result *ret)
{
	bool body_waits = r->awaits_100 && r->up.bytes == 0;

	if (head_sent(r) && !flow_finished(&r->up) && !body_waits)
		return flow_deadline(r, &r->up, ret);
	*ret = RELAY_UPSTREAM_FAILED;
	return upstream_deadline_ms(r->upstream);
}

static uint64_t body_deadline(const struct relay *r, enum relay_result *ret)
{
	enum relay_result up_end;
	uint64_t up_ms = flow_deadline(r, &r->up, &up_end);
	uint64_t down_ms = flow_deadline(r, &r->down, ret);

	if (r->response_suffices || down_ms < up_ms)
		return down_ms;
	*ret = up_end;
	return up_ms;
}

/* The next deadline, with *ret for when it passes. */
static uint64_t relay_deadline(const struct relay *r, enum relay_result *ret)
{
	switch (r->phase) {
	case RELAY_REQUEST: return request_deadline(r, ret);
	case RELAY_BODY: return body_deadline(r, ret);
	case RELAY_TUNNEL: break;
	}
	*ret = RELAY_RELEASE;
	return tunnel_release_ms(&r->tunnel);
}

/* The deadline has passed, with this result. */
static enum relay_result relay_expire(struct relay *r, enum relay_result late)
{
	return late == RELAY_UPSTREAM_FAILED ? result_of[upstream_expire(r->upstream)]
					     : late;
}

/* When the loop goes round again, even without an event. */
static uint64_t wake_ms(const struct relay *r)
{
	uint64_t ms = check_ms(r);

	if (r->phase == RELAY_TUNNEL)
		ms = clock_earlier(ms, tunnel_due_ms(&r->tunnel));
	return r->recheck ? clock_earlier(ms, recheck_due_ms(r->recheck)) : ms;
}

/* The process has to stop, or cannot wait any more. */
static enum relay_result relay_stop(struct relay *r, enum relay_result end)
{
	bool terminated = end == RELAY_TERMINATED;

	if (r->phase != RELAY_TUNNEL)
		return end;
	if (tunnel_ends(r) && !terminated)
		return RELAY_TUNNEL_OVER;
	r->sigfd = -1; /* it stays readable */
	tunnel_stop(&r->tunnel, terminated ? TUNNEL_STOPPED : TUNNEL_FAULT, clock_ms());
	return RELAY_RUNNING;
}

/* ---- waits */

static struct pollfd poll_stream(const struct relay *r, const struct stream *s,
				 bool to_read, bool to_write)
{
	int events = stream_events(s, to_read, to_write);

	if (r->phase == RELAY_TUNNEL && s->input == STREAM_OPEN)
		events |= POLLRDHUP; /* only once: it would be reported again and again */
	return (struct pollfd){ .fd = s->fd, .events = (short)events };
}

static struct pollfd poll_client(const struct relay *r, bool hangup_seen)
{
	bool to_read = head_sent(r) && flow_wants_input(&r->up);
	struct pollfd p = poll_stream(r, r->up.from, to_read, flow_pending(&r->down));

	/* without events poll(2) still reports a reset, but also each hang-up again and again */
	if (p.events == 0 && hangup_seen)
		p.fd = -1;
	return p;
}

static struct pollfd poll_backend(const struct relay *r)
{
	const struct flow *down = &r->down;
	bool to_write = flow_pending(&r->up);
	/* back-pressure as in relay_step_upstream() */
	struct pollfd p =
		r->phase == RELAY_REQUEST
			? upstream_poll(r->upstream, !flow_pending(down), to_write)
			: poll_stream(r, down->from, flow_wants_input(down), to_write);

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
	/* else nobody finds the error, since neither a read nor a write is due */
	if ((client->events & ~POLLRDHUP) == 0 && client->revents & POLLERR)
		flow_fail(&r->up, -ECONNRESET);
	note_events(&r->up, client->revents);
	if (r->phase == RELAY_REQUEST)
		upstream_note_events(r->upstream, backend->revents);
	else
		note_events(&r->down, backend->revents);
}

/* Waits for an event or a deadline. */
static enum relay_result relay_wait(struct relay *r, uint64_t now_ms, bool *hangup_seen)
{
	struct pollfd p[] = {
		{ .fd = r->sigfd },
		poll_client(r, *hangup_seen),
		poll_backend(r),
		{ .fd = -1 },
	};
	enum relay_result late;
	uint64_t deadline_ms = relay_deadline(r, &late);
	int n;

	if (r->recheck)
		p[3] = recheck_poll(r->recheck);
	n = clock_wait(p, r->recheck ? 4 : 3, now_ms,
		       r->ready ? now_ms : clock_earlier(deadline_ms, wake_ms(r)));

	if (n == -ECANCELED)
		return relay_stop(r, RELAY_TERMINATED);
	if (n < 0 && n != -ETIMEDOUT) {
		r->error = n;
		return relay_stop(r, RELAY_POLL_FAILED);
	}
	/* only progress cancels the deadline: an event on a TLS socket may bring no payload */
	if (!r->ready && (n < 0 || !r->moved) && clock_ms() >= deadline_ms)
		return relay_expire(r, late);
	r->moved = false;
	*hangup_seen |= (p[1].revents & POLLHUP) != 0;
	if (n > 0)
		relay_note_events(r, &p[1], &p[2]);
	if (n > 0 && r->recheck)
		recheck_note_events(r->recheck, p[3].revents);
	return flows_result(r, now_ms);
}

enum relay_result relay_run(struct relay *r)
{
	bool hangup_seen = false;
	enum relay_result end = RELAY_RUNNING;

	while (end == RELAY_RUNNING) {
		uint64_t now_ms = clock_ms();

		if (now_ms >= check_ms(r))
			end = relay_check_peers(r, now_ms);
		if (end == RELAY_RUNNING && r->recheck)
			end = relay_recheck(r, now_ms);
		if (end == RELAY_RUNNING)
			end = relay_steps(r, now_ms);
		if (end == RELAY_RUNNING)
			end = relay_wait(r, now_ms, &hangup_seen);
	}
	if (end == RELAY_RELEASE) {
		flow_release(&r->up);
		flow_release(&r->down);
	}
	return end;
}
