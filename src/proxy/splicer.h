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
	int null_fd; /* of /dev/null, for what was in `look`; borrowed; -1: frames are not followed */
	size_t ready; /* bytes of the pipe that may be written; then splicer_read() the others */
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
 * The same for frames, which are followed. Those bytes are ready that belong to data frames of some size,
 * up to a small or a control frame, or to the next boundary if frames are paused.
 */
ssize_t splicer_fill_frames(struct splicer *s, struct stream *from, struct frames *f);

/* Writes the bytes that are ready. Returns 0 or as stream_splice_out(). */
int splicer_drain(struct splicer *s, struct stream *to);

/* Reads bytes from the pipe into b. Returns the count, or -errno. */
ssize_t splicer_read(struct splicer *s, struct buf *b);
