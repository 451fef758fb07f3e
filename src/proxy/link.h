/* SPDX-License-Identifier: MIT */
/* The one connection that is kept to a backend, from one request to the next. */
#ifndef NOVNC_GATE_LINK_H
#define NOVNC_GATE_LINK_H

#include "http/http1.h"
#include "net/stream.h"

struct link {
	struct stream stream;
	bool kept;         /* has carried an exchange and may carry another */
	uint64_t since_ms; /* when the last exchange ended */
	uint64_t keep_ms;  /* how long the backend keeps it open without one */
	bool quiet;        /* nothing had come when the client was last waited for */
};

#define LINK_NONE ((struct link){ .stream = { .fd = -1 } })

/* Takes from an answer whether the backend keeps the connection, and for how long. */
void link_take_answer(struct link *l, const struct http1_head *answer);

/* An exchange has ended that leaves nothing behind on it. */
void link_rest(struct link *l);

/*
 * At rest: what to poll for input besides the client, or -1; and what poll said of it. Input
 * or an end is nothing that was asked for, so then it is closed.
 */
int link_watch(const struct link *l);
void link_watched(struct link *l, short revents);

/* An exchange, with whichever backend, has taken its time since: what poll said is old. */
void link_unwatch(struct link *l);

/*
 * Whether the kept connection is good for another request. An EOF counts, what the
 * backend said of its time-out, and for a request that cannot be repeated a few seconds
 * at rest. One that is not good is closed.
 */
bool link_reusable(struct link *l, bool repeatable);

/* Closes it. */
void link_drop(struct link *l);

#endif
