/* SPDX-License-Identifier: MIT */
/* Connects to a backend step by step, TLS included. Its caller polls: only resolving a name blocks. */
#pragma once

#include <netdb.h>

#include "net/stream.h"

enum dial_result {
	DIAL_CONNECTED,
	DIAL_WAITING, /* poll(2) with dial_poll() until deadline_ms, then call dial_step() */
	DIAL_TIMED_OUT,
	DIAL_REFUSED,
	DIAL_UNREACHABLE, /* or another error of the network */
	DIAL_UNRESOLVED,
	DIAL_TLS_FAILED,
	DIAL_MISCONFIGURED, /* a file that the configuration names cannot be used */
	DIAL_LOCAL_FAULT,   /* no memory, no descriptors, or no TLS module */
};

/* How a backend was reached: to dial it again without resolving, opening a file or loading a library. */
struct dial_known {
	struct sockaddr_storage addr;
	socklen_t addr_len;
	struct tls *
		tls; /* owned; an ended connection, whose context is used again; NULL: no TLS */
	const struct tls_module *module;
};

struct dial {
	const struct backend *be;
	const struct dial_known *known; /* NULL: not known */
	struct stream stream;           /* open with DIAL_CONNECTED, for stream_take() */
	char why[500]; /* of a failure: "cannot connect to 127.0.0.1:4000: Connection refused" */
	uint64_t deadline_ms; /* of the current address, or of TLS */
	int error; /* -errno of the failure to report; 0: no address has failed */
	/* private */
	struct addrinfo *list;       /* owned; the addresses of a name */
	const struct addrinfo *next; /* in that list, the first that was not tried */
	unsigned left;               /* addresses that were not tried */
	uint64_t end_ms;             /* the deadline of all steps */
};

/*
 * Begins to connect. A name is resolved first, which blocks and is bounded by the resolver's own
 * options only. Its addresses are then tried in turn: each gets an equal part of what is left of
 * timeout_ms, and TLS gets the rest. If all fail, the failure that comes first in enum dial_result
 * is reported; but DIAL_LOCAL_FAULT ends the attempts and is always reported. `known` may be NULL; else
 * it is borrowed, and only its address is tried.
 */
enum dial_result dial_begin(struct dial *ret, const struct backend *be,
			    const struct dial_known *known, uint64_t timeout_ms);

/* After DIAL_WAITING. dial_step() takes the events of poll(2), or 0 after the deadline. */
enum dial_result dial_step(struct dial *d, short revents);
struct pollfd dial_poll(const struct dial *d);

/* Gives up: closes and frees what it holds; fine at any time after dial_begin(). */
void dial_done(struct dial *d);
