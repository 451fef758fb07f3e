/* SPDX-License-Identifier: MIT */
/*
 * One direction of a relay: reads what it has room for, takes a body out of its framing and
 * writes it in a new one, the payload from where it was read. splice(2) once there is much to
 * move.
 */
#ifndef NOVNC_GATE_FLOW_H
#define NOVNC_GATE_FLOW_H

#include "http/body.h"
#include "net/stream.h"

/* Pieces of payload that are written at once, each from where it was read. */
#define FLOW_PIECES 32

/* Streams and buffers are borrowed; the pipe is owned. */
struct flow {
	struct stream *from, *to;
	struct buf *in;   /* read and not yet passed on; what follows the message stays */
	struct buf *out;  /* written anew */
	struct body body; /* how what is read ends */
	/* taken from `in`, to be written behind the first `lead` bytes of `out` */
	struct iovec piece[FLOW_PIECES];
	size_t first, pieces; /* of them, those still to be written */
	size_t lead;
	size_t taken;   /* the bytes of `in` that they came with, which stay as long */
	bool starved;   /* all has been taken from `in` that can be before more comes */
	bool waiting;   /* no body yet: the caller wants to see bytes for a head */
	bool rechunk;   /* a chunked body is sent on in chunks (not decoded) */
	bool deaf;      /* `to` takes nothing more; the rest is not read */
	int error;      /* what ended `from` too early, -errno; 0: nothing */
	uint64_t bytes; /* of payload, passed on since flow_init() */
	uint64_t moved_ms; /* when the last byte went in or out */
	bool grown;        /* may hold more than a page of memory; see flow_rest() */
	bool unpiped;      /* a pipe has been asked for, and is not asked for again */
	int pipe[2];
	size_t piped; /* bytes in the pipe */
};

/*
 * A flow that has nothing to move but what is in out; wants flow_done(). Nobody is watched for
 * acknowledging what an earlier message sent.
 */
void flow_init(struct flow *f, struct stream *from, struct stream *to, struct buf *in,
	       struct buf *out);

/* Begins a body. chunked_out: a chunked one is sent on in chunks. */
void flow_begin(struct flow *f, enum http1_framing framing, uint64_t length,
		bool chunked_out);

/* Closes the pipe. */
void flow_done(struct flow *f);

/* Closes the pipe if it is empty; it is made again when there is much to move. */
void flow_rest(struct flow *f);

/* Whether everything of the message has been read and passed on. */
bool flow_ended(const struct flow *f);

/* Whether there is something to write: in a buffer or in the pipe. */
bool flow_pending(const struct flow *f);

/* Whether it would read. Back-pressure: not before what was read has been passed on. */
bool flow_hungry(const struct flow *f);

/* Whether flow_step() would get on with what the streams have already. */
bool flow_ready(const struct flow *f);

/*
 * Reads once, decodes, writes once; true if that got something done. What reading or decoding
 * met is in f->error; what writing met, another's error, is left in *ret_write_error.
 */
bool flow_step(struct flow *f, uint64_t now_ms, int *ret_write_error);

#endif
