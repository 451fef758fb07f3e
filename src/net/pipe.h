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
 * Move at most len bytes from a stream into the pipe, and all bytes to a stream. They return as
 * stream_splice_in() and stream_splice_out(); the second 0 or an error.
 */
ssize_t pipe_fill(struct pipe *p, struct stream *from, size_t len);
int pipe_drain(struct pipe *p, struct stream *to);

/* Reads as much as there is room for. Returns the count, or -errno. */
ssize_t pipe_read(struct pipe *p, struct buf *b);
