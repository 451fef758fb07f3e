/* SPDX-License-Identifier: MIT */
/*
 * Moves the bytes of one direction through a pipe, without copying them. For a tunnel it follows the frames
 * in a second pipe, which holds copies of the bytes by reference: tee(2).
 */
#pragma once

#include "http/frames.h"
#include "net/pipe.h"

struct splicer {
	struct pipe pipe;
	struct pipe look; /* empty between two calls */
	int null_fd; /* /dev/null, to empty a pipe; borrowed; -1: tunnels are not spliced */
	size_t ready; /* bytes of the pipe that may be spliced; splicer_read() takes the others */
};

#define SPLICER_INIT \
	((struct splicer){ .pipe = PIPE_INIT, .look = PIPE_INIT, .null_fd = -1 })

/* Opens the pipes, unless they are open or unavailable. */
void splicer_open(struct splicer *s, bool follow);

/* Closes the pipes, with the bytes in them. */
void splicer_close(struct splicer *s, enum pipe_state next);

/* There are bytes that have to be read into a buffer. */
static inline bool splicer_has_rest(const struct splicer *s)
{
	return s->pipe.bytes > s->ready;
}

/* Fills the pipe, which is empty, with at most len bytes. Returns as stream_splice_in(). */
ssize_t splicer_fill(struct splicer *s, struct stream *from, uint64_t len);

/*
 * The same for frames, which are followed. The bytes before the first small or control frame are
 * ready; if frames are paused, only those before the next boundary.
 */
ssize_t splicer_fill_frames(struct splicer *s, struct stream *from, struct frames *f);

/* Drops the bytes that are ready. */
void splicer_drop(struct splicer *s);

/* Writes the bytes that are ready. Returns 0 or as stream_splice_out(). */
int splicer_drain(struct splicer *s, struct stream *to);

/* Reads bytes from the pipe into b, the ready ones first. Returns the count, or -errno. */
ssize_t splicer_read(struct splicer *s, struct buf *b);
