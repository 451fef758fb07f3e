/* SPDX-License-Identifier: MIT */
/*
 * One direction of a relay: reads while there is room, decodes the body's framing and writes
 * the payload, in a new framing, from where it was read. splice(2) where there is much to move.
 */
#ifndef NOVNC_GATE_FLOW_H
#define NOVNC_GATE_FLOW_H

#include "http/body.h"
#include "net/stream.h"

/* Pieces of payload that are written at once, each from where it was read. */
#define FLOW_PIECES 32

enum flow_state {
	FLOW_DECODING,    /* `in` may hold more of the message */
	FLOW_READING,     /* all that `in` holds is decoded: more has to be read */
	FLOW_DONE,        /* the end of the message has been decoded */
	FLOW_SINK_CLOSED, /* `to` takes nothing more; the rest is not read */
};

enum flow_failure {
	FLOW_OK,
	FLOW_FAILED,     /* `from`, with the flow's error */
	FLOW_INVALID,    /* no valid framing; the body's `why` says so */
	FLOW_INCOMPLETE, /* `from` ended before the message did */
};

enum flow_pipe {
	FLOW_PIPE_NONE, /* not yet: so far copying is good enough */
	FLOW_PIPE_OPEN,
	FLOW_PIPE_UNAVAILABLE, /* there is none to be had: it is copied */
};

/* Streams and buffers are borrowed; the pipe is owned. */
struct flow {
	struct stream *from, *to;
	struct buf *in;   /* read and not yet passed on; what follows the message stays */
	struct buf *out;  /* heads and framing, as they are written */
	struct body body; /* the message's end, in what is read */
	enum flow_state state;
	enum flow_failure failure; /* of `from`, by its peer or by this machine */
	int error;                 /* with FLOW_FAILED, -errno */
	bool rechunk;              /* a chunked body is sent on in chunks (not decoded) */
	bool tunnel; /* bytes without framing: any end of `from` is theirs */
	/* taken from `in`, to be written behind the first `lead` bytes of `out` */
	struct iovec piece[FLOW_PIECES];
	size_t first, pieces; /* of them, those still to be written */
	size_t lead;
	size_t taken;      /* the bytes of `in` that hold them, which stay as long */
	uint64_t bytes;    /* of payload, passed on since flow_init() */
	uint64_t moved_ms; /* when the last byte went in or out */
	bool grown;        /* may hold more than a page of memory; see flow_rest() */
	enum flow_pipe piping;
	int pipe[2];
	size_t piped; /* bytes in the pipe */
};

/*
 * A flow without a body, which writes the content of out only; wants flow_done(). What an earlier
 * message sent is no longer watched for its acknowledgement.
 */
void flow_init(struct flow *f, struct stream *from, struct stream *to, struct buf *in,
	       struct buf *out);

/* Begins a body. chunked_out: a chunked one is sent on in chunks. */
void flow_begin(struct flow *f, enum http1_framing framing, uint64_t length,
		bool chunked_out);

/* Begins a tunnel's direction: bytes until `from` ends. */
void flow_begin_tunnel(struct flow *f);

/* Closes the pipe. */
void flow_done(struct flow *f);

/* Closes the pipe if it is empty; it is made again when there is much to move. */
void flow_rest(struct flow *f);

/* `from` has failed with -errno; an earlier failure stays. */
void flow_fail(struct flow *f, int error);

/* `to` takes nothing more. */
void flow_close_sink(struct flow *f);

/* Something happened on it at now_ms that counts as progress. */
void flow_touch(struct flow *f, uint64_t now_ms);

/* Is all of the message read and passed on? */
bool flow_ended(const struct flow *f);

/* Is nothing more to be expected of it: ended, or its sink closed? */
bool flow_over(const struct flow *f);

/* Is something left to write, in a buffer or in the pipe? */
bool flow_pending(const struct flow *f);

/* Would it read? Back-pressure: not before what was read has been passed on. */
bool flow_hungry(const struct flow *f);

/* Would flow_step() get on with what the streams have already? */
bool flow_ready(const struct flow *f);

/*
 * Reads once, decodes, writes once; true if that moved something. A fault in reading or decoding
 * is this flow's failure; an error of writing is the other peer's: in *ret_write_error.
 */
bool flow_step(struct flow *f, uint64_t now_ms, int *ret_write_error);

#endif
