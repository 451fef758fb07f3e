/* SPDX-License-Identifier: MIT */
/*
 * One direction of a relay. Once all that was read is written, it reads again, decodes the body's framing
 * and writes the payload, in a new framing, from the buffer that it was read into. splice(2) where there
 * is much to move.
 */
#pragma once

#include "http/body.h"
#include "proxy/splicer.h"

/* Pieces of payload that are written at once, each from the buffer that it was read into. */
#define FLOW_PIECES 32

enum flow_state {
	FLOW_DECODING, /* `in` may hold more of the message */
	FLOW_READING,  /* all of `in` is decoded: more has to be read */
	FLOW_DROPPING, /* a tunnel ends: input is followed and dropped, what is pending is written */
	FLOW_DECODED,       /* the end of the message has been decoded */
	FLOW_TARGET_CLOSED, /* nothing more can be written, so nothing more is read */
};

enum flow_failure {
	FLOW_OK,
	FLOW_FAILED,     /* `from` has failed; `error` says how */
	FLOW_INVALID,    /* no valid framing; the body's `why` says so */
	FLOW_INCOMPLETE, /* `from` ended before the message did */
};

/* Streams and buffers are borrowed. */
struct flow {
	struct stream *from, *to;
	struct buf *in;       /* bytes read; those after the message stay there */
	struct buf *out;      /* heads and framing to write */
	struct body body;     /* decodes the message */
	struct frames frames; /* of a tunnel */
	enum flow_state state;
	/* the first failure of `from`, also if the other flow failed to write to it */
	enum flow_failure failure;
	int error;    /* with FLOW_FAILED, -errno */
	bool rechunk; /* a chunked body is written in chunks again */
	bool tunnel;  /* any end of `from` completes the message */
	/* payload in `in`, to be written after the first `lead` bytes of `out` */
	struct iovec piece[FLOW_PIECES];
	size_t first_piece, pieces; /* the pieces that are not yet written */
	size_t lead;
	size_t decoded;      /* bytes of `in` to keep until the pieces are written */
	uint64_t bytes;      /* of payload, written or in the pipe, since flow_init() */
	uint64_t moved_ms;   /* when the flow last made progress */
	uint64_t read_ms;    /* when bytes last came */
	uint64_t written_ms; /* when bytes were last written */
	uint64_t data_ms; /* when bytes of data frames last came (struct frames, data) */
	bool releasable;  /* may hold more than a page of memory; see flow_release() */
	struct splicer splicer; /* owned */
};

/*
 * Begins without a body: the flow writes the content of `out` only. Stops watching
 * whether `to` acknowledges an earlier message. The caller calls flow_done().
 */
void flow_init(struct flow *f, struct stream *from, struct stream *to, struct buf *in,
	       struct buf *out);

/* Begins a body. With chunked_out, a chunked one is written in chunks again. */
void flow_begin(struct flow *f, enum http1_framing framing, uint64_t length,
		bool chunked_out);

/*
 * Begins one direction of a tunnel, whose frames are followed until `from` ends. masked is as for
 * frames_init(), null_fd as in struct splicer.
 */
void flow_begin_tunnel(struct flow *f, bool masked, int null_fd);

/* From now on a Pong with this payload is left out, unless a part of another Pong has been passed on. */
void flow_expect_pong(struct flow *f, struct slice payload);

/* In a tunnel: flow_put() may insert a control frame, because no byte of an open frame was passed on. */
bool flow_between_frames(const struct flow *f);

/* In a tunnel: the peer at `from` has sent a Close. */
static inline bool flow_has_closed(const struct flow *f)
{
	return f->frames.state == FRAMES_CLOSED;
}

/* In a tunnel: a frame is open, and not all of it is held back. */
static inline bool flow_in_frame(const struct flow *f)
{
	return (f->frames.state == FRAMES_HEADER || f->frames.state == FRAMES_PAYLOAD) &&
	       f->frames.held == 0;
}

/* Puts in a control frame, behind what has been decoded; masked with the key, if it is not NULL. */
void flow_put(struct flow *f, enum frames_opcode opcode, struct slice payload,
	      const unsigned char *key);

/* Decodes nothing beyond the end of the frame that is open, until flow_drop(). */
void flow_pause(struct flow *f);

/* A tunnel ends: drops what comes from `from`. What is pending is still written, if `to` is open. */
void flow_drop(struct flow *f);

/* Closes the pipe. */
void flow_done(struct flow *f);

/* Closes the pipe if it is empty; a flow with much to move opens it again. */
void flow_release(struct flow *f);

/* Notes that `from` has failed with -errno, unless an earlier failure is noted. */
void flow_fail(struct flow *f, int error);

/* Notes that nothing more can be written to `to`, which ends the flow. */
void flow_note_target_closed(struct flow *f);

/* Counts an event at now_ms as progress. */
void flow_touch(struct flow *f, uint64_t now_ms);

/* All of the message has been read and passed on. */
bool flow_complete(const struct flow *f);

/* It is complete, or `to` is closed. */
bool flow_finished(const struct flow *f);

/* Bytes are left to write, in a buffer or in the pipe. */
bool flow_pending(const struct flow *f);

/* The same, even if `to` is closed. */
bool flow_unwritten(const struct flow *f);

/* It needs more input, and has passed on all that it has read (back-pressure). */
bool flow_wants_input(const struct flow *f);

/* flow_step() can make progress before the next poll. */
bool flow_ready(const struct flow *f);

/*
 * Reads once, decodes, writes once; false if read and write were not due or returned -EAGAIN. An
 * error of reading or decoding becomes the flow's failure; an error of writing, which concerns the
 * other peer, goes to *ret_write_error.
 */
bool flow_step(struct flow *f, uint64_t now_ms, int *ret_write_error);
