/* SPDX-License-Identifier: MIT */
/*
 * The frames of one direction of a WebSocket, followed by their headers (RFC 6455 5.2), and the control
 * frames that are inserted between them. No I/O.
 */
#pragma once

#include "base/buf.h"

/* The longest header, and the longest payload of a control frame (RFC 6455 5.5), bytes. */
#define FRAMES_HEADER_MAX  14
#define FRAMES_CONTROL_MAX 125
/* The longest reason of a Close, behind its code, bytes. */
#define FRAMES_REASON_MAX  (FRAMES_CONTROL_MAX - 2)

/* RFC 6455 11.8; all others are reserved. */
enum frames_opcode {
	FRAMES_CONTINUATION = 0,
	FRAMES_TEXT = 1,
	FRAMES_BINARY = 2,
	FRAMES_CLOSE = 8,
	FRAMES_PING = 9,
	FRAMES_PONG = 10,
};

enum frames_state {
	FRAMES_BETWEEN, /* at a boundary: here a control frame may be inserted */
	FRAMES_HEADER,  /* in a header */
	FRAMES_PAYLOAD, /* in a payload, of which `left` bytes have to come */
	FRAMES_CLOSED,  /* a Close has ended; bytes behind it are not followed */
	FRAMES_LOST,    /* these bytes are no frames, and are not followed any more */
};

struct frames {
	enum frames_state state;
	enum frames_opcode opcode; /* of this frame; FRAMES_BETWEEN: of the last one */
	uint64_t left;
	uint64_t data; /* bytes of data frames so far, and all that are no frames */
	/* set by the caller */
	/* frames_next() leaves out a Pong with this payload; "": none; not to be set within a Pong */
	struct slice own_pong;
	bool paused; /* frames_next() stops at the next boundary */
	/* after a control frame: its payload, unmasked */
	unsigned char control[FRAMES_CONTROL_MAX];
	size_t control_len;
	/* private */
	bool masked;
	unsigned char header[FRAMES_HEADER_MAX];
	size_t header_len;
	size_t held;  /* bytes in `in` that are followed, but not yet passed on */
	bool replace; /* the held bytes are a Close that has to lose its code */
};

/* masked: the sender is the client, which has to mask (RFC 6455 5.1). */
void frames_init(struct frames *f, bool masked);

/* Follows bytes up to the end of a frame, at most all of in. Returns their number. */
size_t frames_follow(struct frames *f, struct slice in);

/*
 * Follows the bytes in `in`, takes off its beginning what may be passed on, and sets *ret to it, perhaps to
 * nothing. A server's Close with a code that must not be sent (RFC 6455 7.4.1), which a browser takes for an
 * error, is passed on without the code. Returns 1; 0 if more has to come first.
 */
int frames_next(struct frames *f, struct buf *in, struct slice *ret);

/*
 * For bytes that are moved without a buffer. frames_left() returns how many may be: up to the end of a data
 * frame; UINT64_MAX if frames are not followed any more; 0 where a header has to be read. frames_passed()
 * counts n of them.
 */
uint64_t frames_left(const struct frames *f);
void frames_passed(struct frames *f, uint64_t n);

/* FRAMES_CLOSED: the code in the Close, or 1005 if it has none (RFC 6455 7.1.5), and its reason. */
unsigned frames_close_code(const struct frames *f);
struct slice frames_close_reason(const struct frames *f);

/* Appends a control frame, masked with the key of four bytes unless that is NULL. Returns 0, or -ENOBUFS. */
int frames_put(enum frames_opcode opcode, struct slice payload, const unsigned char *key,
	       struct buf *out);

/*
 * Writes the payload of a Close and returns its length; 1005, and 1006 and 1015 as well, mean a Close without a code. A reason that is
 * too long is cut at the end of a UTF-8 character.
 */
size_t frames_close(unsigned code, struct slice reason,
		    char ret[static FRAMES_CONTROL_MAX]);
