/* SPDX-License-Identifier: MIT */
#include "proxy/flow.h"

/* All in bytes. */
#define FLOW_COPY_MAX  (64 * 1024) /* of one read while no pipe is open */
#define FLOW_PIECE_MIN 2048        /* a shorter payload is appended to the last piece */
#define FLOW_FRAMING   (BODY_FRAME_MAX + BODY_LAST_MAX) /* framing of one write */
#define FLOW_SMALL     4096 /* one page, which is not worth releasing */

void flow_init(struct flow *f, struct stream *from, struct stream *to, struct buf *in,
	       struct buf *out)
{
	*f = (struct flow){
		.from = from,
		.to = to,
		.in = in,
		.out = out,
		.state = FLOW_DECODED,
		.moved_ms = clock_ms(),
		.releasable = true, /* a head has been read */
		.splicer = SPLICER_INIT,
	};
	body_init(&f->body, HTTP1_NO_BODY, 0);
	stream_unwatch(to);
}

void flow_begin(struct flow *f, enum http1_framing framing, uint64_t length,
		bool chunked_out)
{
	body_init(&f->body, framing, length);
	f->state = f->body.done ? FLOW_DECODED : FLOW_DECODING;
	f->rechunk = chunked_out && framing == HTTP1_CHUNKED;
	f->moved_ms = clock_ms();
}

void flow_done(struct flow *f)
{
	splicer_close(&f->splicer, PIPE_UNAVAILABLE);
}

void flow_release(struct flow *f)
{
	if (f->splicer.pipe.bytes == 0)
		splicer_close(&f->splicer, PIPE_NONE);
	f->releasable = false;
}

void flow_fail(struct flow *f, int error)
{
	if (f->failure != FLOW_OK)
		return;
	f->failure = FLOW_FAILED;
	f->error = error;
}

void flow_note_target_closed(struct flow *f)
{
	f->state = FLOW_TARGET_CLOSED;
}

void flow_touch(struct flow *f, uint64_t now_ms)
{
	f->moved_ms = now_ms;
}

bool flow_unwritten(const struct flow *f)
{
	return buf_len(f->out) > 0 || f->pieces > 0 || f->splicer.ready > 0;
}

bool flow_pending(const struct flow *f)
{
	return f->state != FLOW_TARGET_CLOSED && flow_unwritten(f);
}

bool flow_wants_input(const struct flow *f)
{
	if (f->failure != FLOW_OK || stream_ended(f->from))
		return false;
	if (f->state == FLOW_DROPPING)
		return f->pieces == 0 && f->splicer.ready == 0;
	return f->state == FLOW_READING && !flow_pending(f) &&
	       buf_len(f->in) < f->in->cap &&
	       !(f->frames.paused && f->frames.state == FRAMES_BETWEEN);
}

/* A read is due: bytes may have come, or are in the pipe; or `in` has bytes to drop. */
static bool flow_has_input(const struct flow *f)
{
	return f->from->can_read || splicer_has_rest(&f->splicer) ||
	       (f->state == FLOW_DROPPING && buf_len(f->in) > f->frames.held);
}

bool flow_complete(const struct flow *f)
{
	return f->state == FLOW_DECODED && !flow_pending(f);
}

bool flow_finished(const struct flow *f)
{
	return f->state == FLOW_TARGET_CLOSED || flow_complete(f);
}

/* At the end of the stream, after all bytes before it have been passed on. */
static void flow_eof(struct flow *f)
{
	bool whole = f->tunnel || f->from->input == STREAM_EOF;

	if (f->body.framing == HTTP1_UNTIL_CLOSE && whole)
		f->state = FLOW_DECODED;
	else
		f->failure = FLOW_INCOMPLETE;
}

/* Frames are followed, not only bytes passed on. */
static bool flow_follows(const struct flow *f)
{
	return f->tunnel && f->frames.state < FRAMES_CLOSED;
}

/* Reads into `in`, from the pipe if that has bytes. */
static ssize_t flow_copy(struct flow *f)
{
	bool chunked = f->body.framing == HTTP1_CHUNKED;
	struct buf *in = f->in, part;
	ssize_t n;

	buf_compact(in);
	part = *in;
	if (!chunked && buf_room(in) > FLOW_COPY_MAX)
		part.cap = in->end + FLOW_COPY_MAX;
	n = splicer_has_rest(&f->splicer) ? splicer_read(&f->splicer, &part)
					  : stream_read(f->from, &part);
	in->end = part.end;
	if (n == FLOW_COPY_MAX && !chunked && stream_is_plain(f->from) &&
	    stream_is_plain(f->to))
		splicer_open(&f->splicer, flow_follows(f));
	return n;
}

static ssize_t flow_splice(struct flow *f)
{
	struct splicer *s = &f->splicer;
	ssize_t n = flow_follows(f) ? splicer_fill_frames(s, f->from, &f->frames)
				    : splicer_fill(s, f->from, f->body.left);

	if (n == -EINVAL) { /* the socket cannot do it; the pipe is empty */
		splicer_close(s, PIPE_UNAVAILABLE);
		return flow_copy(f);
	}
	if (s->ready > 0) {
		if (f->tunnel && !flow_follows(f))
			frames_passed(&f->frames, s->ready);
		f->bytes += s->ready;
		body_passed(&f->body, s->ready);
		if (f->body.done)
			f->state = FLOW_DECODED;
	}
	return n;
}

/* Reads or splices. Returns as stream_read(). */
static ssize_t flow_read(struct flow *f)
{
	bool copy = f->splicer.pipe.state != PIPE_OPEN || f->state == FLOW_DROPPING ||
		    buf_len(f->in) > 0 || splicer_has_rest(&f->splicer);

	return copy ? flow_copy(f) : flow_splice(f);
}

/* Appends to `out` the framing before and after the pieces, which have len bytes. */
static int flow_put_framing(struct flow *f, size_t len)
{
	int r = 0;

	if (f->rechunk && len > 0)
		r = body_chunk_begin(len, f->out);
	f->lead = buf_len(f->out);
	if (r == 0 && f->rechunk && len > 0)
		r = body_chunk_end(f->out);
	if (r == 0 && f->rechunk && f->body.done)
		r = body_chunk_last(f->body.trailers, f->out);
	return r;
}

/* Adds a piece; a short payload is moved to the end of the last piece instead. */
static void flow_add(struct flow *f, struct slice payload)
{
	struct iovec *next = &f->piece[f->pieces], *last;

	if (payload.len == 0)
		return;
	if (f->pieces > 0 && payload.len < FLOW_PIECE_MIN) {
		last = next - 1;
		memmove((char *)last->iov_base + last->iov_len, payload.p, payload.len);
		last->iov_len += payload.len;
		return;
	}
	*next = (struct iovec){ .iov_base = (char *)payload.p, .iov_len = payload.len };
	f->pieces++;
}

/* Frees the room in `in` once all pieces have been written. */
static void flow_free_input(struct flow *f)
{
	if (f->pieces > 0)
		return;
	buf_consume(f->in, f->decoded);
	f->decoded = 0;
}

/* Drops what has come, once all before it is written. */
static void flow_drop_input(struct flow *f)
{
	struct slice dropped;

	if (f->pieces > 0)
		return;
	while (frames_next(&f->frames, f->in, &dropped))
		;
}

/* The next bytes to pass on. Returns as body_next() and frames_next(). */
static int flow_next(struct flow *f, struct buf *in, struct slice *ret)
{
	return f->tunnel ? frames_next(&f->frames, in, ret)
			 : body_next(&f->body, in, ret);
}

/* Decodes as much as can be written at once. */
static void flow_decode(struct flow *f)
{
	struct buf in = *f->in;
	struct slice payload;
	size_t len = 0;
	int r = 1;

	if (f->state == FLOW_DROPPING)
		flow_drop_input(f);
	if (f->state == FLOW_READING && buf_len(&in) == 0)
		return;
	if (f->state >= FLOW_DROPPING || f->failure != FLOW_OK || f->pieces > 0 ||
	    f->splicer.ready > 0 || buf_room(f->out) < FLOW_FRAMING)
		return;
	f->first_piece = 0;
	while (f->pieces < FLOW_PIECES &&
	       (r = buf_len(&in) > 0 ? flow_next(f, &in, &payload) : 0) > 0) {
		flow_add(f, payload);
		len += payload.len;
	}
	f->decoded = buf_len(f->in) - buf_len(&in);
	flow_free_input(f);
	f->state = f->body.done ? FLOW_DECODED : r == 0 ? FLOW_READING : FLOW_DECODING;
	if (r < 0)
		f->failure = FLOW_INVALID;
	r = flow_put_framing(f, len);
	assert(r == 0); /* there was room */
}

/* Adds a block to a vector, unless it is empty. */
static size_t put_block(struct iovec *iov, size_t n, void *p, size_t len)
{
	if (len > 0)
		iov[n++] = (struct iovec){ .iov_base = p, .iov_len = len };
	return n;
}

/* n bytes have been written: of the lead, the pieces, then the framing after them. */
static void flow_written(struct flow *f, size_t n)
{
	size_t lead = n < f->lead ? n : f->lead;

	buf_consume(f->out, lead);
	f->lead -= lead;
	n -= lead;
	for (; n > 0 && f->pieces > 0; f->first_piece++, f->pieces--) {
		struct iovec *p = &f->piece[f->first_piece];
		size_t len = n < p->iov_len ? n : p->iov_len;

		f->bytes += len;
		n -= len;
		p->iov_base = (char *)p->iov_base + len;
		p->iov_len -= len;
		if (p->iov_len > 0)
			return;
	}
	flow_free_input(f);
	buf_consume(f->out, n);
}

/* For a socket that splice(2) cannot write to: reads what fits into `in` from the pipe, as one piece. */
static int flow_drain_pipe(struct flow *f)
{
	struct buf *in = f->in;
	ssize_t n;

	assert(buf_len(in) == 0); /* it was empty before the pipe was filled */
	buf_compact(in);
	n = splicer_read(&f->splicer, in);
	if (n < 0)
		return (int)n;
	f->piece[0] =
		(struct iovec){ .iov_base = in->data + in->start, .iov_len = (size_t)n };
	f->first_piece = f->lead = 0;
	f->pieces = 1;
	f->decoded = (size_t)n;
	f->bytes -= (uint64_t)n; /* flow_written() counts them again */
	if (f->splicer.pipe.bytes == 0)
		splicer_close(&f->splicer, PIPE_UNAVAILABLE);
	return 0;
}

static int flow_write(struct flow *f)
{
	struct iovec iov[1 + FLOW_PIECES + 1];
	char *out = f->out->data + f->out->start;
	size_t n = 0;
	ssize_t written;
	int r;

	if (buf_len(f->out) == 0 && f->pieces == 0) {
		r = splicer_drain(&f->splicer, f->to);
		if (r == -EINVAL)
			r = flow_drain_pipe(f);
		if (r < 0 || f->pieces == 0)
			return r;
	}
	n = put_block(iov, n, out, f->lead);
	for (size_t i = f->first_piece; i < f->first_piece + f->pieces; i++)
		iov[n++] = f->piece[i];
	n = put_block(iov, n, out + f->lead, buf_len(f->out) - f->lead);
	written = stream_write(f->to, iov, n);
	if (written < 0)
		return (int)written;
	flow_written(f, (size_t)written);
	return 0;
}

bool flow_step(struct flow *f, uint64_t now_ms, int *ret_write_error)
{
	bool moved = false, large;
	uint64_t data = f->frames.data;

	flow_decode(f);
	if (flow_wants_input(f) && flow_has_input(f)) {
		ssize_t n = flow_read(f);

		if (n > 0)
			f->read_ms = now_ms;
		else if (n < 0 && n != -EAGAIN)
			flow_fail(f, (int)n);
		moved = n != -EAGAIN;
		flow_decode(f);
	}
	/* before the write, which may reset `in` */
	large = f->splicer.pipe.state == PIPE_OPEN || f->in->end > FLOW_SMALL;
	if (flow_pending(f) && f->to->can_write) {
		int r = flow_write(f);

		if (r == 0)
			f->written_ms = now_ms;
		else if (r != -EAGAIN)
			*ret_write_error = r;
		moved |= r != -EAGAIN;
	}
	if (f->state == FLOW_READING && f->failure == FLOW_OK && stream_ended(f->from) &&
	    !flow_pending(f))
		flow_eof(f);
	if (moved) {
		f->moved_ms = now_ms;
		f->releasable |= large;
	}
	if (f->frames.data > data)
		f->data_ms = now_ms;
	return moved;
}

bool flow_ready(const struct flow *f)
{
	if (f->state != FLOW_DROPPING && flow_pending(f))
		return f->to->can_write;
	if (flow_wants_input(f) && flow_has_input(f))
		return true;
	return f->state == FLOW_DROPPING
		       ? flow_pending(f) && f->to->can_write
		       : f->state == FLOW_DECODING && f->failure == FLOW_OK;
}
