/* SPDX-License-Identifier: MIT */
/* One direction of a relay: read, decode, write; splice. */
#include "flow.h"

#include <fcntl.h>

#include "compose.h"

/* What a pipe is grown to, bytes: more moves per system call (past that it stops paying). */
#define FLOW_PIPE_SIZE (1024 * 1024)
/* What it is born with as a rule; a quarter of that is no better than copying. */
#define FLOW_PIPE_MIN  (64 * 1024)

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

bool flow_pending(const struct flow *f)
{
	return !f->deaf && (buf_len(f->out) > 0 || f->piped > 0 || flow_direct(f) > 0);
}

bool flow_hungry(const struct flow *f)
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
	/* EPERM once the user's pipes have reached /proc/sys/fs/pipe-user-pages-soft: this one
	 * stays as it was born, past the limit with two pages */
	if (fcntl(ends[1], F_SETPIPE_SZ, FLOW_PIPE_SIZE) < 0 &&
	    fcntl(ends[1], F_SETPIPE_SZ, FLOW_PIPE_MIN) < 0) {
		fd_close_auto(&ends[0]);
		fd_close_auto(&ends[1]);
		return;
	}
	memcpy(f->pipe, ends, sizeof(ends));
}

static ssize_t flow_splice(struct flow *f)
{
	size_t len = FLOW_PIPE_SIZE;
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

bool flow_step(struct flow *f, uint64_t now_ms, int *ret_write_error)
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

bool flow_ready(const struct flow *f)
{
	if (flow_pending(f))
		return f->to->can_write;
	return (flow_hungry(f) && f->from->can_read) || flow_decodable(f);
}
