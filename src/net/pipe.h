/* SPDX-License-Identifier: MIT */
/* A pipe between two plain streams, for splice(2). */
#pragma once

#include "net/stream.h"

/* The most that a pipe holds, bytes; a larger one gained nothing. */
#define PIPE_SIZE (1024 * 1024)

enum pipe_state {
	PIPE_NONE, /* not yet opened */
	PIPE_OPEN,
	PIPE_UNAVAILABLE, /* cannot be had, so its user copies */
};

struct pipe {
	enum pipe_state state;
	int fd[2]; /* owned */
	size_t bytes;
};

#define PIPE_INIT ((struct pipe){ .fd = { -1, -1 } })

/* Opens the pipe, or sets PIPE_UNAVAILABLE. */
void pipe_open(struct pipe *p);

/* Closes the pipe, with the bytes in it; next is PIPE_NONE or PIPE_UNAVAILABLE. */
void pipe_close(struct pipe *p, enum pipe_state next);

/*
 * Move at most len bytes from a stream into the pipe, or from the pipe to a stream. They return as
 * stream_splice_in() and stream_splice_out().
 */
ssize_t pipe_fill(struct pipe *p, struct stream *from, size_t len);
ssize_t pipe_drain(struct pipe *p, struct stream *to, size_t len);

/* Reads at most len bytes, or moves them to fd, such as /dev/null. They return the count, or -errno. */
ssize_t pipe_read(struct pipe *p, void *ret, size_t len);
ssize_t pipe_discard(struct pipe *p, int fd, size_t len);

/* Puts a copy of the bytes of p into an empty pipe, without moving them. Returns 0 or -errno. */
int pipe_tee(const struct pipe *p, struct pipe *copy);
