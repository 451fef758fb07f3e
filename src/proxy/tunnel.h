/* SPDX-License-Identifier: MIT */
/*
 * A tunnel as a WebSocket (RFC 6455): Pings to a quiet client, time limits, how it ends, and then a Close with
 * code and reason for each peer that has got none. flow.c follows the frames and moves the bytes.
 */
#pragma once

#include "config/config.h"
#include "proxy/flow.h"

/* Drawn before sandbox_enter(): the masking key of frames to the backend, and the payload of Pings. */
struct tunnel_random {
	unsigned char key[4], ping[8];
};

/* All is borrowed. */
struct tunnel_setup {
	const struct config *cfg;
	const struct tunnel_random *random;
	const char *backend; /* its name */
	const char *log_id;  /* put behind each reason */
	int null_fd;         /* as in struct splicer */
};

enum tunnel_peer {
	TUNNEL_NEITHER,
	TUNNEL_CLIENT,
	TUNNEL_BACKEND,
	TUNNEL_BOTH,
};

/* Each has a row in the table in tunnel_close.c. */
enum tunnel_end {
	TUNNEL_OPEN,
	TUNNEL_CLOSED, /* both peers have sent a Close */
	TUNNEL_ENDED,  /* both have ended their directions, at least one inside a frame */
	TUNNEL_CLIENT_LEFT, /* it ended its direction between two frames, without a Close */
	TUNNEL_BACKEND_LEFT,   /* likewise */
	TUNNEL_CLIENT_FAILED,  /* with the failure of the flow up */
	TUNNEL_BACKEND_FAILED, /* with that of the flow down */
	TUNNEL_BACKEND_SILENT, /* likewise: it acknowledges nothing */
	TUNNEL_CLIENT_SILENT,  /* it did not answer Pings */
	TUNNEL_CLOSE_TIMEOUT,  /* one peer did not answer the other's Close */
	TUNNEL_LINGER_TIMEOUT, /* after half-close */
	TUNNEL_IDLE_TIMEOUT,
	TUNNEL_SESSION_TIMEOUT,
	TUNNEL_UNAUTHORIZED, /* Next.js has denied it (RecheckSec=) */
	TUNNEL_STOPPED,      /* SIGTERM */
	TUNNEL_FAULT,        /* the gate's own */
};

/* The Close for one peer. */
enum tunnel_close {
	TUNNEL_CLOSE_NONE,
	TUNNEL_CLOSE_PASSED, /* the other peer's has been passed on */
	TUNNEL_CLOSE_DUE,    /* the gate's is inserted as soon as no frame is open */
	TUNNEL_CLOSE_PUT,    /* the gate's is in the flow's `out`, or written */
	TUNNEL_CLOSE_CUT,    /* a frame has stayed open, so there is none */
};

/* The direction toward one peer. */
struct tunnel_side {
	struct flow *flow;
	enum tunnel_close close;
	unsigned code; /* of the gate's Close */
};

struct tunnel {
	struct tunnel_setup setup;
	struct tunnel_side client, backend;
	enum tunnel_end end;
	enum tunnel_peer closed_first; /* by a Close */
	enum tunnel_peer ended_first;  /* its direction; TUNNEL_BOTH: seen in one step */
	uint64_t begun_ms;
	uint64_t close_ms; /* when closed_first was set */
	uint64_t limit_ms; /* no time limit is due before this */
	uint64_t
		release_ms; /* it may give memory back after it has been idle for so long */
	uint64_t ping_ms;   /* when the last Ping was inserted */
	unsigned pings;     /* since a byte came from the client */
	/* unless it is open: until when it waits for the ends of frames, and for the peers' Closes */
	uint64_t boundary_ms, end_ms;
};

/* Begins it. The flows are borrowed. */
void tunnel_begin(struct tunnel *ret, const struct tunnel_setup *setup, struct flow *up,
		  struct flow *down);

/*
 * After each step of the flows, and when it is due: passes on the end of a direction, puts frames in, sees how
 * the tunnel ends.
 */
void tunnel_step(struct tunnel *t, uint64_t now_ms);

/* Ends the tunnel, unless it ends already: inserts what can be inserted now. */
void tunnel_stop(struct tunnel *t, enum tunnel_end end, uint64_t now_ms);

/* After each step of the flows of a tunnel that ends: inserts the Closes that are due, where no frame is open. */
void tunnel_put_closes(struct tunnel *t, uint64_t now_ms);

/* When tunnel_put_closes() is due, or the tunnel is over. */
uint64_t tunnel_end_due_ms(const struct tunnel *t);

/* It ends, and waits for nothing more. */
bool tunnel_over(const struct tunnel *t, uint64_t now_ms);

/* When tunnel_step() is due, and when memory may be given back unless the flows make progress. */
uint64_t tunnel_due_ms(const struct tunnel *t);
uint64_t tunnel_release_ms(const struct tunnel *t);

/* The frames of the direction whose Close came first, or NULL. */
const struct frames *tunnel_first_close(const struct tunnel *t);

/* That peer knows why the tunnel has ended: a Close has been written to it. */
bool tunnel_told(const struct tunnel_side *to);

/* In one of the directions the bytes are no frames, so nothing is inserted into either of them. */
static inline bool tunnel_is_raw(const struct tunnel *t)
{
	return t->client.flow->frames.state == FRAMES_LOST ||
	       t->backend.flow->frames.state == FRAMES_LOST;
}
