/* SPDX-License-Identifier: MIT */
#include "proxy/splicer.h"

/* Bytes. With a shorter frame, copying costs less. */
#define SPLICER_FRAME_MIN 16384

void splicer_open(struct splicer *s, bool follow)
{
	if (s->pipe.state != PIPE_NONE)
		return;
	pipe_open(&s->pipe);
	if (follow && s->pipe.state == PIPE_OPEN)
		pipe_open(&s->look);
	if (follow && (s->look.state != PIPE_OPEN || s->null_fd < 0))
		splicer_close(s, PIPE_UNAVAILABLE);
}

void splicer_close(struct splicer *s, enum pipe_state next)
{
	pipe_close(&s->pipe, next);
	pipe_close(&s->look, next);
	s->ready = 0;
}

ssize_t splicer_fill(struct splicer *s, struct stream *from, uint64_t len)
{
	ssize_t n = pipe_fill(&s->pipe, from, len < PIPE_SIZE ? (size_t)len : PIPE_SIZE);

	s->ready = s->pipe.bytes;
	return n;
}

/* Follows a header, if it is complete and its payload is to be spliced; never one of a control frame. */
static bool follow_header(struct splicer *s, struct frames *f)
{
	struct frames next = *f;
	char head[FRAMES_HEADER_MAX];
	ssize_t n = pipe_read(&s->look, head, sizeof(head));

	if (n < 0 ||
	    frames_follow(&next, (struct slice){ head, (size_t)n }) < (size_t)n ||
	    frames_left(&next) < SPLICER_FRAME_MIN || next.state == FRAMES_CLOSED)
		return false;
	*f = next;
	s->ready += (size_t)n;
	return true;
}

/* Follows bytes in `look`; false where that has to stop. */
static bool follow(struct splicer *s, struct frames *f)
{
	uint64_t left = frames_left(f);
	ssize_t n;

	if (s->look.bytes == 0 || (f->paused && f->state == FRAMES_BETWEEN))
		return false;
	if (left == 0)
		return follow_header(s, f);
	n = pipe_discard(&s->look, s->null_fd,
			 left < s->look.bytes ? (size_t)left : s->look.bytes);
	if (n < 0)
		return false;
	frames_passed(f, (uint64_t)n);
	s->ready += (size_t)n;
	return true;
}

ssize_t splicer_fill_frames(struct splicer *s, struct stream *from, struct frames *f)
{
	ssize_t n = pipe_fill(&s->pipe, from, PIPE_SIZE);

	if (n <= 0)
		return n;
	/* the rest is read if there is no copy of it */
	if (pipe_tee(&s->pipe, &s->look) == 0)
		while (follow(s, f))
			;
	while (s->look.bytes > 0 && pipe_discard(&s->look, s->null_fd, s->look.bytes) > 0)
		;
	if (s->look.bytes > 0)
		pipe_close(&s->look, PIPE_UNAVAILABLE); /* from now on all is read */
	return n;
}

int splicer_drain(struct splicer *s, struct stream *to)
{
	ssize_t n = pipe_drain(&s->pipe, to, s->ready);

	if (n < 0)
		return (int)n;
	s->ready -= (size_t)n;
	return 0;
}

void splicer_drop(struct splicer *s)
{
	while (s->ready > 0) {
		ssize_t n = pipe_discard(&s->pipe, s->null_fd, s->ready);

		if (n < 0)
			splicer_close(s, PIPE_UNAVAILABLE);
		else
			s->ready -= (size_t)n;
	}
}

ssize_t splicer_read(struct splicer *s, struct buf *b)
{
	size_t len = s->ready > 0 ? s->ready : s->pipe.bytes;
	ssize_t n = pipe_read(&s->pipe, b->data + b->end,
			      len < buf_room(b) ? len : buf_room(b));

	if (n < 0)
		return n;
	if (s->ready > 0)
		s->ready -= (size_t)n;
	b->end += (size_t)n;
	return n;
}
