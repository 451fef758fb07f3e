/* SPDX-License-Identifier: MIT */
/*
 * A byte stream to a peer: dial, fill, drain, shut down; plain or TLS. Non-blocking
 * throughout.
 */
#ifndef NOVNC_GATE_STREAM_H
#define NOVNC_GATE_STREAM_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "config/config.h"
#include "tls/tls.h"

/* Whether a peer acknowledges what it has been sent. */
struct stream_watch {
	/* when to look at it next; CLOCK_INFINITY: nothing is outstanding */
	uint64_t look_ms;
	/* when the first of it was sent or anything came, whichever is later */
	uint64_t since_ms;
	unsigned tries; /* without an answer, at the last look */
};

#define STREAM_UNWATCHED ((struct stream_watch){ .look_ms = CLOCK_INFINITY })

struct stream {
	int fd;         /* owned; -1: closed */
	bool can_read;  /* a read may find something; false after one that did not */
	bool can_write; /* likewise */
	bool ending;    /* the peer's end has come, perhaps behind unread bytes */
	bool eof;       /* and has been read */
	bool shut;      /* we have ended ours */
	bool shutting; /* we are ending ours: TLS's close_notify is still to be written */
	bool broken;   /* a write has failed: an end that a read finds is a reset */
	short read_wants, write_wants; /* what to poll for, to read and to write */
	struct tls *tls;               /* owned; NULL: plain */
	const struct tls_module *module;
	struct stream_watch watch;
	bool cut; /* its eof came without TLS' close_notify */
};

#define STREAM_NONE ((struct stream){ .fd = -1 })

/* Takes fd over, which is non-blocking; where it is TCP, without Nagle's delay. */
void stream_open(int fd, struct stream *ret);

/* Likewise one that may still block. 0 or -errno. */
int stream_adopt(int fd, struct stream *ret);

/* Why a dial failed, in words ("connect to 127.0.0.1:4000: Connection refused"). */
struct stream_cause {
	char text[500];
};

/*
 * Connects to be within timeout_ms, shared among its addresses still to try, TLS included;
 * a name is resolved before that, bounded by the resolver's own options. Gives up early
 * when sigfd becomes readable (-ECANCELED) or the client is reset (-EPIPE). Other errors
 * are -errno with *cause filled: -ETIMEDOUT when any address did not accept in time, else
 * that of an address which refused, else that of one which cannot be reached; -ENXIO when
 * the name does not resolve, -EPROTO when TLS failed, -ELIBACC when the module of TLS
 * cannot be loaded, -ENOKEY when a file that the configuration names cannot be used.
 */
int stream_dial(const struct backend *be, uint64_t timeout_ms, int client_fd, int sigfd,
		struct stream *ret, struct stream_cause *cause);

/* Whether an error of stream_dial() is this machine's own, such as no memory. */
bool stream_dial_is_local(int error);

/* TLS with a client, before a byte of it: what needs files is done, for a sandbox follows. */
struct stream_tls {
	const struct tls_module *module;
	struct tls *tls; /* NULL: taken, or there is none */
	int error;       /* why there is none: -ENOMEM, or dial's -ELIBACC and -ENOKEY */
	struct tls_why why;
};

/* Makes it ready on fd, which is borrowed; wants stream_tls_done(). */
void stream_tls_prepare(int fd, const struct config_tls *cfg, struct stream_tls *ret);
void stream_tls_done(struct stream_tls *t);

/* The stream on that fd takes it over; its handshake follows. */
void stream_secure(struct stream *s, struct stream_tls *t);

/* A part of the handshake: 0 when it is done, -EAGAIN to wait for s->read_wants, -errno. */
int stream_handshake(struct stream *s);

/* The subject of the peer's certificate, until the stream is closed, or NULL. */
const char *stream_subject(const struct stream *s);

/* What to poll for where more is to be read, or written; 0: nothing. */
short stream_events(const struct stream *s, bool to_read, bool to_write);

/* Likewise for the peer's end alone, which is told once, even while nothing is read. */
short stream_end_events(const struct stream *s);

/* Takes from poll's answer what can be done now. */
void stream_take_events(struct stream *s, short revents);

/* Whether an error of a read or a write is this machine's, neither the peer's nor the network's. */
bool stream_is_local(int error);

/* An error that a read or a write returned, in words. */
const char *stream_strerror(const struct stream *s, int error);

/*
 * Reads once into the room of b (which must have some). Returns the count, 0 at the end
 * of the stream (and sets eof), -EAGAIN, or another -errno; -ECONNABORTED is TLS whose
 * peer has ended without saying so.
 */
ssize_t stream_read(struct stream *s, struct buf *b);

/*
 * Writes once. Returns the count, -EAGAIN, or another -errno. What was not taken has to be
 * the beginning of the next write. SIGPIPE has to be ignored.
 */
ssize_t stream_write(struct stream *s, const struct iovec *iov, size_t n);

/*
 * splice(2) from the stream into a pipe and back; plain streams only. As read and write, or
 * -EINVAL where the socket cannot do that; it can still be read and written.
 */
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

/* Bytes have been written: from now on the peer has to acknowledge within each span. */
void stream_watch_begin(struct stream *s, uint64_t now_ms, uint64_t span_ms);

/*
 * To be called at s->watch.look_ms, or any time: whether bytes are outstanding, nothing has
 * come from the peer for the span, and it has not answered when the kernel tried again. Never
 * of a peer that answers but does not read. The span has to be longer than the kernel's longest
 * pause between two tries (two minutes).
 */
bool stream_watch_gone(struct stream *s, uint64_t now_ms, uint64_t span_ms);

/* What that judges by, and the judgement; *w is what it knows from earlier ones. */
struct stream_acks {
	bool outstanding;   /* sent and not acknowledged, or not yet sent */
	uint64_t silent_ms; /* since anything came */
	unsigned tries;     /* without an answer */
};
bool stream_watch_judge(struct stream_watch *w, const struct stream_acks *a,
			uint64_t now_ms, uint64_t span_ms);

/*
 * Ends our direction; the peer reads an EOF. A dead peer shows up at the next read. Where
 * it leaves the stream shutting, call it again when the stream can be written to.
 */
void stream_shut(struct stream *s);

/* Closes so that the peer sees a reset (RST), not an end. */
void stream_reset(struct stream *s);

/* Closes, TLS with a close_notify; fine on a stream that is closed. */
void stream_done(struct stream *s);

#endif
