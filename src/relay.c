/* SPDX-License-Identifier: MIT */
/* Moves two flows until both have ended: the poll loop and splice. */
#include "relay.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "compose.h"

/* What a pipe is grown to, bytes: more moves per system call (past that it stops paying). */
#define RELAY_PIPE_SIZE (1024 * 1024)
/* A smaller one is slower than copying. */
#define RELAY_PIPE_MIN  (64 * 1024)
/* Steps before the loop looks at its signal and at the other end's events again. */
#define RELAY_ROUNDS    16

void flow_init(struct flow *f, struct stream *from, struct stream *to, struct buf *in,
	       struct buf *out)
{
	*f = (struct flow){
		.from = from,
		.to = to,
		.in = in,
		.out = out,
		.moved_ms = stream_clock_ms(),
		.pipe = { -1, -1 },
	};
	http1_body_init(&f->body, HTTP1_NO_BODY, 0);
}

void flow_begin(struct flow *f, enum http1_framing framing, uint64_t length,
		bool chunked_out)
{
	http1_body_init(&f->body, framing, length);
	f->rechunk = chunked_out;
	f->waiting = false;
	f->moved_ms = stream_clock_ms();
}

void flow_done(struct flow *f)
{
	fd_close_auto(&f->pipe[0]);
	fd_close_auto(&f->pipe[1]);
}

/* How much of `in` may go to the other side as it is. */
static size_t flow_direct(const struct flow *f)
{
	size_t len = buf_len(f->in);

	if (f->waiting)
		return 0;
	if (f->body.framing == HTTP1_UNTIL_CLOSE)
		return len;
	if (f->body.framing == HTTP1_LENGTH)
		return len < f->body.left ? len : (size_t)f->body.left;
	return 0;
}

static bool flow_pending(const struct flow *f)
{
	return !f->deaf && (buf_len(f->out) > 0 || f->piped > 0 || flow_direct(f) > 0);
}

/* Back-pressure: nothing more is read before what was read has been passed on. */
static bool flow_hungry(const struct flow *f)
{
	return !f->deaf && f->error == 0 && !f->from->eof && !flow_pending(f) &&
	       (f->waiting || !f->body.done) && buf_len(f->in) < f->in->cap;
}

/* Whether there is something in `in` that could be decoded. */
static bool flow_encoded(const struct flow *f)
{
	return !f->waiting && f->body.framing == HTTP1_CHUNKED && !f->body.done &&
	       f->error == 0 && buf_len(f->in) > 0;
}

/* Whether decoding gets on without more input; incomplete trailers wait in `in`. */
static bool flow_decodable(const struct flow *f)
{
	return flow_encoded(f) && !f->body.in_trailers;
}

bool flow_ended(const struct flow *f)
{
	return !f->waiting && f->body.done && !flow_pending(f);
}

/* Everything before the end of the stream has been passed on: was it the body's end too? */
static void flow_eof(struct flow *f)
{
	if (f->body.framing == HTTP1_UNTIL_CLOSE)
		f->body.done = true;
	else
		f->error = -ECONNABORTED;
}

/* Makes the pipe, for there is much to move; without one it is copied. */
static void flow_pipe(struct flow *f)
{
	int ends[2];

	if (f->unpiped || !stream_is_plain(f->from) || !stream_is_plain(f->to))
		return;
	f->unpiped = true;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return; /* out of descriptors: slower, not wrong */
	/* EPERM beyond /proc/sys/fs/pipe-user-pages-soft, where a pipe has two pages only */
	if (fcntl(ends[1], F_SETPIPE_SZ, RELAY_PIPE_SIZE) < 0 &&
	    fcntl(ends[1], F_GETPIPE_SZ) < RELAY_PIPE_MIN) {
		fd_close_auto(&ends[0]);
		fd_close_auto(&ends[1]);
		return;
	}
	memcpy(f->pipe, ends, sizeof(ends));
}

static ssize_t flow_splice(struct flow *f)
{
	size_t len = RELAY_PIPE_SIZE;
	ssize_t n;

	if (f->body.framing == HTTP1_LENGTH && f->body.left < len)
		len = (size_t)f->body.left;
	n = stream_splice_in(f->from, f->pipe[1], len);
	if (n > 0) {
		f->piped += (size_t)n;
		f->bytes += (uint64_t)n;
		http1_body_passed(&f->body, (uint64_t)n);
	}
	return n;
}

static ssize_t flow_copy(struct flow *f)
{
	ssize_t n;

	buf_compact(f->in);
	n = stream_read(f->from, f->in);
	if (n > 0 && buf_room(f->in) == 0 && flow_direct(f) > 0)
		flow_pipe(f);
	return n;
}

/* Moves payload out of chunks, and into new ones where the receiver reads them. */
static int flow_decode(struct flow *f)
{
	size_t trailers = HTTP1_TRAILERS_MAX + COMPOSE_CHUNK_FRAME,
	       room = buf_room(f->out);
	size_t opened = f->out->end, payload;
	int r;

	if (room < trailers + COMPOSE_CHUNK_FRAME)
		return 0;
	room -= trailers + COMPOSE_CHUNK_FRAME;
	if (f->rechunk)
		opened = compose_chunk_open(f->out);
	payload = f->out->end;
	r = http1_body_decode(&f->body, f->in, f->out,
			      room < COMPOSE_CHUNK_MAX ? room : COMPOSE_CHUNK_MAX);
	f->bytes += f->out->end - payload;
	if (f->rechunk)
		compose_chunk_close(f->out, opened);
	if (r == 0 && f->body.done && f->rechunk)
		r = compose_last_chunk(f->body.trailers, f->out);
	return r;
}

static int flow_write(struct flow *f)
{
	struct slice own = buf_slice(f->out);
	size_t direct = flow_direct(f), total = own.len + direct, passed;
	struct iovec iov[] = {
		{ .iov_base = (char *)own.p, .iov_len = own.len },
		{ .iov_base = f->in->data + f->in->start, .iov_len = direct },
	};
	ssize_t n;

	if (total == 0) {
		n = stream_splice_out(f->to, f->pipe[0], f->piped);
		if (n > 0)
			f->piped -= (size_t)n;
		return n < 0 ? (int)n : 0;
	}
	n = stream_write(f->to, iov, 2);
	if (n < 0)
		return (int)n;
	if ((size_t)n < total)
		f->to->can_write = false;
	passed = (size_t)n > own.len ? (size_t)n - own.len : 0;
	buf_consume(f->out, (size_t)n - passed);
	buf_consume(f->in, passed);
	http1_body_passed(&f->body, passed);
	f->bytes += passed;
	return 0;
}

/* Reads once, decodes, writes once; true if that got something done. */
static bool flow_step(struct flow *f, uint64_t now_ms, int *ret_write_error)
{
	bool moved = false;
	int r;

	if (flow_hungry(f) && f->from->can_read) {
		ssize_t n =
			f->pipe[0] >= 0 && !f->waiting && f->body.framing != HTTP1_CHUNKED
				? flow_splice(f)
				: flow_copy(f);

		if (n < 0 && n != -EAGAIN)
			f->error = (int)n;
		moved = n != -EAGAIN;
	}
	if (flow_encoded(f)) {
		r = flow_decode(f);
		if (r < 0)
			f->error = r;
	}
	if (flow_pending(f) && f->to->can_write) {
		r = flow_write(f);
		if (r < 0 && r != -EAGAIN)
			*ret_write_error = r;
		moved |= r != -EAGAIN;
	}
	if (f->from->eof && !f->waiting && !f->body.done && f->error == 0 && !f->deaf &&
	    !flow_pending(f) && !flow_decodable(f))
		flow_eof(f);
	if (moved)
		f->moved_ms = now_ms;
	return moved;
}

static bool flow_ready(const struct flow *f)
{
	if (flow_pending(f))
		return f->to->can_write;
	return (flow_hungry(f) && f->from->can_read) || flow_decodable(f);
}

/* Half-close: the end of one direction is passed on, the other goes on. */
static void relay_pass_end(struct relay *r, const struct flow *f)
{
	if (!flow_ended(f))
		return;
	stream_shut(f->to);
	if (!r->first)
		r->first = f;
}

/* One step each way. What went wrong stands in up.error (client) or down.error (backend). */
static bool relay_step(struct relay *r, uint64_t now_ms)
{
	int up_error = 0, down_error = 0;
	bool moved = flow_step(&r->up, now_ms, &up_error);

	moved |= flow_step(&r->down, now_ms, &down_error);
	if (up_error < 0)
		r->up.deaf = true; /* an answer may have come before the end */
	if (down_error < 0)
		r->up.error = down_error;
	if (r->tunnel) {
		relay_pass_end(r, &r->up);
		relay_pass_end(r, &r->down);
	}
	return moved;
}

/* Whether the flows' state says that it is over, and how. */
static bool relay_over(const struct relay *r, enum relay_end *ret)
{
	const struct flow *up = &r->up, *down = &r->down;
	bool shutting = up->to->shutting || down->to->shutting;

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

/* The next deadline, and what it means when it passes. */
static uint64_t relay_deadline(const struct relay *r, enum relay_end *ret)
{
	const struct flow *up = &r->up, *down = &r->down;
	bool up_over = flow_ended(up) || up->deaf;
	uint64_t deadline_ms = CONFIG_INFINITY, down_ms;

	if (r->tunnel) {
		uint64_t last_ms =
			up->moved_ms > down->moved_ms ? up->moved_ms : down->moved_ms;
		bool ending = up_over || flow_ended(down);

		*ret = ending ? RELAY_LINGER_TIMEOUT : RELAY_IDLE_TIMEOUT;
		return stream_deadline_ms(last_ms, ending ? r->linger_ms : r->idle_ms);
	}
	if (!up_over) {
		*ret = flow_pending(up) ? RELAY_BACKEND_TIMEOUT : RELAY_CLIENT_TIMEOUT;
		deadline_ms = stream_deadline_ms(up->moved_ms, r->body_ms);
	}
	if (down->waiting) {
		if (!up_over)
			return deadline_ms;
		*ret = RELAY_ANSWER_TIMEOUT;
		return stream_deadline_ms(up->moved_ms, r->answer_ms);
	}
	down_ms = stream_deadline_ms(down->moved_ms, r->body_ms);
	if (!flow_ended(down) && down_ms < deadline_ms) {
		*ret = flow_pending(down) ? RELAY_CLIENT_TIMEOUT : RELAY_BACKEND_TIMEOUT;
		deadline_ms = down_ms;
	}
	return deadline_ms;
}

static short events_for(const struct stream *s, const struct flow *from,
			const struct flow *to)
{
	return stream_events(s, flow_hungry(from), flow_pending(to));
}

/* Waits for an event: true, or false with the end that came instead. */
static bool relay_wait(struct relay *r, bool *client_hup, enum relay_end *ret)
{
	struct stream *client = r->up.from, *backend = r->up.to;
	struct pollfd p[] = {
		{ .fd = client->fd, .events = events_for(client, &r->up, &r->down) },
		{ .fd = backend->fd, .events = events_for(backend, &r->down, &r->up) },
		{ .fd = r->sigfd, .events = POLLIN },
	};
	bool ready = flow_ready(&r->up) || flow_ready(&r->down);
	uint64_t deadline_ms = relay_deadline(r, ret);
	int n;

	/* with nothing to ask for, a reset of the client is still news, a POLLHUP once only */
	if (p[0].events == 0 && *client_hup)
		p[0].fd = -1;
	if (p[1].events == 0)
		p[1].fd = -1;
	n = poll(p, 3, ready ? 0 : stream_timeout_ms(stream_clock_ms(), deadline_ms));
	if (n < 0 && errno != EINTR) {
		*ret = RELAY_FAULT;
		return false;
	}
	if (n < 0)
		return true;
	if (p[2].revents) {
		*ret = RELAY_TERMINATED;
		return false;
	}
	if (n == 0 && !ready && stream_clock_ms() >= deadline_ms)
		return false;
	if (p[0].events == 0 && p[0].revents & POLLERR)
		r->up.error = -ECONNRESET;
	*client_hup |= (p[0].revents & POLLHUP) != 0;
	stream_take_events(client, p[0].revents);
	stream_take_events(backend, p[1].revents);
	return true;
}

enum relay_end relay_run(struct relay *r)
{
	bool client_hup = false;
	enum relay_end end;

	for (;;) {
		uint64_t now_ms = stream_clock_ms();
		bool moved = true;

		for (int round = 0; moved && round < RELAY_ROUNDS; round++) {
			size_t seen = buf_len(r->down.in);

			moved = relay_step(r, now_ms);
			if (relay_over(r, &end))
				return end;
			if (r->down.waiting &&
			    (buf_len(r->down.in) > seen || r->down.from->eof))
				return RELAY_INPUT;
		}
		if (!relay_wait(r, &client_hup, &end) || relay_over(r, &end))
			return end;
	}
}
