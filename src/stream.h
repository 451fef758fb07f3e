/* SPDX-License-Identifier: MIT */
/* A byte stream to a peer: dial, fill, drain, shut down. Non-blocking throughout. */
#ifndef NOVNC_GATE_STREAM_H
#define NOVNC_GATE_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "buf.h"
#include "config.h"

struct stream {
	int fd;         /* owned; -1: closed */
	bool can_read;  /* a read may find something; false after one that did not */
	bool can_write; /* likewise */
	bool eof;       /* the peer has ended its direction */
	bool shut;      /* we have ended ours */
	bool broken;    /* a write was told of a reset: what a read finds is no end */
};

#define STREAM_NONE ((struct stream){ .fd = -1 })

/* The time on CLOCK_MONOTONIC in ms. */
uint64_t stream_clock_ms(void);

/* now + span; CONFIG_INFINITY stays what it is. */
uint64_t stream_deadline_ms(uint64_t now_ms, uint64_t span_ms);

/* For poll(2): the ms from now until deadline, rounded up; 0 when past, -1 for infinity. */
int stream_timeout_ms(uint64_t now_ms, uint64_t deadline_ms);

/* Takes fd over: non-blocking and, where it is TCP, without Nagle's delay. 0 or -errno. */
int stream_adopt(int fd, struct stream *ret);

/* Why a dial failed, in words ("connect to 127.0.0.1:4000: Connection refused"). */
struct stream_cause {
	char text[400];
};

/*
 * Connects to be within timeout_ms, shared among its addresses still to try; a name is
 * resolved before that, bounded by the resolver's own options. Gives up early when sigfd
 * becomes readable (-ECANCELED) or the client is reset (-EPIPE). Other errors are -errno
 * with *cause filled: -ETIMEDOUT when nobody accepted in time, -EMFILE, -ENFILE, -ENOMEM
 * and -ENOBUFS are our own fault, the rest the backend's.
 */
int stream_dial(const struct backend *be, uint64_t timeout_ms, int client_fd, int sigfd,
		struct stream *ret, struct stream_cause *cause);

/*
 * Reads once into the room of b (which must have some). Returns the count, 0 at the end
 * of the stream (and sets eof), -EAGAIN, or another -errno.
 */
ssize_t stream_read(struct stream *s, struct buf *b);

/* Writes once. Returns the count, -EAGAIN, or another -errno. Raises no SIGPIPE. */
ssize_t stream_write(struct stream *s, const struct iovec *iov, size_t n);

/* splice(2) from the stream into a pipe and back; plain streams only. As read and write. */
ssize_t stream_splice_in(struct stream *s, int pipe_fd, size_t len);
ssize_t stream_splice_out(struct stream *s, int pipe_fd, size_t len);

/* Whether splice works on it: a socket with nothing in between. */
bool stream_is_plain(const struct stream *s);

/* Whether nothing has come and no end either: a kept connection that may be used again. */
bool stream_is_quiet(const struct stream *s);

/* Whether one's peer has the address that the other was accepted at: a circle. */
bool stream_is_circle(const struct stream *dialled, const struct stream *accepted);

/*
 * Probes a peer from which nothing comes, unless its socket is set so already: one that
 * has vanished is an error in the end.
 */
void stream_keep_alive(const struct stream *s);

/* Ends our direction; the peer reads an EOF. A dead peer shows up at the next read. */
void stream_shut(struct stream *s);

/* Closes so that the peer sees a reset (RST), not an end. */
void stream_reset(struct stream *s);

/* Closes; fine on a stream that is closed. */
void stream_done(struct stream *s);

#endif
