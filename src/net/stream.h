/* SPDX-License-Identifier: MIT */
/* One non-blocking end of a connection, plain or TLS: read, write, splice, end, reset. */
#pragma once

#include <poll.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "config/config.h"
#include "tls/tls.h"

/* The state of the peer's direction. STREAM_EOF and STREAM_CUT are final. */
enum stream_input {
	STREAM_OPEN,
	STREAM_ENDING, /* its end has come, after bytes that are not yet read */
	STREAM_EOF,    /* its end has been read */
	STREAM_CUT,    /* the same, but TLS ended without a close_notify */
};

/* The state of our direction. */
enum stream_output {
	STREAM_OUT_OPEN,
	STREAM_OUT_SHUTTING, /* the close_notify of TLS is still to be written */
	STREAM_OUT_SHUT,
	STREAM_OUT_BROKEN, /* a write has failed, so a later EOF is in fact a reset */
};

/* The wait for a peer's acknowledgements. */
struct stream_watch {
	/* when to look next; CLOCK_INFINITY: nothing is outstanding */
	uint64_t look_ms;
	/* the later of: when the first unacknowledged byte was sent, when anything last came */
	uint64_t since_ms;
	unsigned tries; /* unanswered retransmissions or window probes at the last look */
};

#define STREAM_UNWATCHED ((struct stream_watch){ .look_ms = CLOCK_INFINITY })

struct stream {
	int fd; /* owned; -1: closed */
	enum stream_input input;
	enum stream_output output;
	/* false: the last read or write was short, so poll(2) comes before the next */
	bool can_read, can_write;
	short read_wants, write_wants; /* the poll(2) events to read and to write */
	struct tls *tls;               /* owned; NULL: plain */
	const struct tls_module *module;
	struct stream_watch watch;
};

#define STREAM_NONE ((struct stream){ .fd = -1, .watch = STREAM_UNWATCHED })

/* Takes over a non-blocking fd; switches Nagle's delay off if it is TCP. */
void stream_open(int fd, struct stream *ret);

/* The same for an fd that may still block. Returns 0 or -errno. */
int stream_adopt(int fd, struct stream *ret);

/* Hands a stream on: returns it and leaves STREAM_NONE behind. */
static inline struct stream stream_take(struct stream *s)
{
	struct stream taken = *s;

	*s = STREAM_NONE;
	return taken;
}

/* The end of the peer's direction has been read: STREAM_EOF or STREAM_CUT. */
static inline bool stream_ended(const struct stream *s)
{
	return s->input >= STREAM_EOF;
}

/* To be appended to a sentence about the end of a stream; "" unless it was cut. */
static inline const char *stream_cut_note(const struct stream *s)
{
	return s->input == STREAM_CUT ? ", without TLS close_notify" : "";
}

/* TLS with a client, prepared before the sandbox is entered, because preparing opens files. */
struct stream_tls {
	const struct tls_module *module;
	struct tls *tls; /* NULL: handed on, or there is none */
	enum tls_begin result;
	struct tls_why why; /* of an error */
};

/* Prepares TLS on fd, which is borrowed; the caller calls stream_tls_done(). */
void stream_tls_prepare(int fd, const struct config_tls *cfg, struct stream_tls *ret);
void stream_tls_done(struct stream_tls *t);

/* Moves t->tls to s, which has the same fd; t->result must be TLS_READY. Next: stream_handshake(). */
void stream_secure(struct stream *s, struct stream_tls *t);

/* A step of the TLS handshake: 0 when it is done, -EAGAIN to wait for s->read_wants, -errno. */
int stream_handshake(struct stream *s);

/* The peer certificate's subject, or NULL; valid until the stream is closed. */
const char *stream_subject(const struct stream *s);

/* Returns the poll(2) events to wait for before a read or a write; 0: none. */
short stream_events(const struct stream *s, bool to_read, bool to_write);

/* Notes the events that poll(2) returned. */
void stream_note_events(struct stream *s, short revents);

/* After a request is sent: the next read waits for poll(2), unless TLS may hold bytes. */
static inline void stream_poll_first(struct stream *s)
{
	s->can_read = s->tls != NULL;
}

/* True if a read or write failed because of this machine, not of the peer or the network. */
bool stream_error_is_local(int error);

/* An error that a read or a write returned, in words. */
const char *stream_strerror(const struct stream *s, int error);

/*
 * Reads once into the room of b (which must have some). Returns the count; 0 at the end of
 * the stream, which is then STREAM_EOF or STREAM_CUT; -EAGAIN; or another -errno.
 */
ssize_t stream_read(struct stream *s, struct buf *b);

/*
 * Writes once. Returns the count, -EAGAIN, or another -errno. The bytes that were not taken
 * must be the beginning of the next write. SIGPIPE must be ignored.
 */
ssize_t stream_write(struct stream *s, const struct iovec *iov, size_t n);

/*
 * splice(2) from a plain stream into a pipe and back. They return as stream_read() and
 * stream_write(), or -EINVAL if the socket cannot splice; it can still be read and written.
 */
ssize_t stream_splice_in(struct stream *s, int pipe_fd, size_t len);
ssize_t stream_splice_out(struct stream *s, int pipe_fd, size_t len);

/* A socket without TLS, so that splice(2) works on it. */
bool stream_is_plain(const struct stream *s);

/* Neither bytes nor an end have come, so a kept connection may be used again. */
bool stream_is_quiet(const struct stream *s);

/*
 * Switches TCP keep-alive on, so that a vanished peer causes an error. A socket that already has
 * it on keeps its settings.
 */
void stream_keep_alive(const struct stream *s);

/* Bytes written that the peer has not acknowledged; of a local socket, that it has not read. */
unsigned stream_unacknowledged(const struct stream *s);

/* Stops watching for acknowledgements of earlier writes. */
static inline void stream_unwatch(struct stream *s)
{
	s->watch = STREAM_UNWATCHED;
}

/* To be called after a write: begins to watch, unless it does already; the first look is after span_ms. */
void stream_watch_begin(struct stream *s, uint64_t now_ms, uint64_t span_ms);

/*
 * To be called at s->watch.look_ms or at any other time. True if bytes are outstanding,
 * nothing has come from the peer for the span, and it did not respond when the kernel tried
 * again; never for a peer that responds but does not read. The span has to be longer than the
 * kernel's longest pause between two tries (two minutes).
 */
bool stream_peer_gone(struct stream *s, uint64_t now_ms, uint64_t span_ms);

/* Facts by which stream_watch_judge() decides whether the peer is gone; *w is its state between calls. */
struct stream_acks {
	bool outstanding;   /* sent and not acknowledged, or not yet sent */
	uint64_t silent_ms; /* since anything came */
	unsigned tries;     /* unanswered retransmissions or window probes */
};
bool stream_watch_judge(struct stream_watch *w, const struct stream_acks *a,
			uint64_t now_ms, uint64_t span_ms);

/*
 * Ends our direction; the peer reads an EOF. A dead peer shows up at the next read. If the
 * output is then STREAM_OUT_SHUTTING, call it again when the stream can be written to.
 */
void stream_shut(struct stream *s);

/* Closes so that the peer sees a reset (RST), not an end. */
void stream_reset(struct stream *s);

/* Sends the reset now, even if other processes have the socket open. A tunnel's sandbox forbids it. */
void stream_disconnect(const struct stream *s);

/* Closes, with a close_notify if it is TLS; does nothing on a closed stream. */
void stream_done(struct stream *s);
