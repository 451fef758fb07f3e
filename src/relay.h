/* SPDX-License-Identifier: MIT */
/*
 * Moves two flows, client to backend (up) and backend to client (down), until both have
 * ended: bodies and tunnels alike, in one poll loop, with back-pressure (a flow reads
 * only what it has room for) and splice(2) once there is much to move.
 */
#ifndef NOVNC_GATE_RELAY_H
#define NOVNC_GATE_RELAY_H

#include "http1.h"
#include "stream.h"

/* One direction. Streams and buffers are borrowed; the pipe is owned. */
struct flow {
	struct stream *from, *to;
	struct buf *in;  /* read and not yet passed on; what follows the message stays */
	struct buf *out; /* written anew; goes before anything in `in` */
	struct http1_body body; /* how what is read ends */
	bool waiting;      /* no body yet: the caller wants to see bytes for a head */
	bool rechunk;      /* a chunked body is sent on in chunks (not decoded) */
	bool deaf;         /* `to` takes nothing more; the rest is not read */
	int error;         /* what ended `from` too early, -errno; 0: nothing */
	uint64_t bytes;    /* taken from `from` since flow_init(), a waiting head's not */
	uint64_t moved_ms; /* when the last byte went in or out */
	bool unpiped;      /* a pipe has been asked for, and is not asked for again */
	int pipe[2];
	size_t piped; /* bytes in the pipe */
};

struct relay {
	struct flow up, down;
	int sigfd;          /* readable: SIGTERM has come */
	bool tunnel;        /* an EOF is passed on; linger and idle bound the time */
	bool down_suffices; /* over as soon as the answer is, whatever up still carries */
	const struct flow
		*first; /* in a tunnel: which flow has ended first; NULL: none yet */
	/* spans in ms */
	uint64_t answer_ms; /* the whole request sent to its answer's head */
	uint64_t body_ms;   /* no progress in a body */
	uint64_t linger_ms; /* no byte in a tunnel of which one direction has ended */
	uint64_t idle_ms;   /* no byte in a tunnel */
};

enum relay_end {
	RELAY_DONE,  /* both flows have ended as they should */
	RELAY_INPUT, /* more bytes for the head that a flow waits for, or an EOF */
	RELAY_CLIENT_FAILED, /* client.. reset, ended or broke its body; flow's error says */
	RELAY_BACKEND_FAILED,
	RELAY_ANSWER_TIMEOUT,
	RELAY_CLIENT_TIMEOUT,  /* the client gives or takes no body, */
	RELAY_BACKEND_TIMEOUT, /* or the backend */
	RELAY_LINGER_TIMEOUT,
	RELAY_IDLE_TIMEOUT,
	RELAY_TERMINATED, /* SIGTERM */
	RELAY_FAULT,      /* our own: poll failed */
};

/* A flow that has nothing to move but what is in out; wants flow_done(). */
void flow_init(struct flow *f, struct stream *from, struct stream *to, struct buf *in,
	       struct buf *out);

/* Begins a body. chunked_out: a chunked one is sent on in chunks. */
void flow_begin(struct flow *f, enum http1_framing framing, uint64_t length,
		bool chunked_out);

/* Closes the pipe. */
void flow_done(struct flow *f);

/* Whether everything of the message has been read and passed on. */
bool flow_ended(const struct flow *f);

/* Runs until something ends. May be called again after RELAY_INPUT. */
enum relay_end relay_run(struct relay *r);

#endif
