/* SPDX-License-Identifier: MIT */
/*
 * The frames of one direction of a WebSocket, followed by their headers (RFC 6455 5.2), and the control
 * frames that are put in between. What is followed is not altered. No I/O.
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
	FRAMES_BETWEEN, /* at a boundary: here a control frame may be put in */
	FRAMES_HEADER,  /* in a header */
	FRAMES_PAYLOAD, /* in a payload, of which `left` bytes have to come */
	FRAMES_LOST,    /* these bytes are no frames, and are not followed any more */
};

struct frames {
	enum frames_state state;
	enum frames_opcode opcode; /* of this frame; FRAMES_BETWEEN: of the last one */
	uint64_t left;
	/* FRAMES_BETWEEN, after a control frame: its payload, unmasked */
	unsigned char control[FRAMES_CONTROL_MAX];
	size_t control_len;
	/* private */
	bool masked;
	unsigned char header[FRAMES_HEADER_MAX];
	size_t header_len;
};

/* masked: the sender is the client, which has to mask (RFC 6455 5.1). */
void frames_init(struct frames *f, bool masked);

/* Follows bytes up to the end of a frame, at most all of in. Returns their number. */
size_t frames_follow(struct frames *f, struct slice in);

/* Counts n bytes of payload, at most `left`, that have not been in a buffer; not of a control frame. */
void frames_passed(struct frames *f, uint64_t n);

/* The code in the Close that has just ended, or 1005 if it has none (RFC 6455 7.1.5). */
unsigned frames_close_code(const struct frames *f);
struct slice frames_close_reason(const struct frames *f);

/*
 * Appends a control frame, masked with the key if there is one. Returns 0, or -ENOBUFS. A reason that is
 * too long is cut at the end of a UTF-8 character.
 */
int frames_put(enum frames_opcode opcode, struct slice payload,
	       const unsigned char key[4], struct buf *out);
int frames_put_close(unsigned code, struct slice reason, const unsigned char key[4],
		     struct buf *out);
