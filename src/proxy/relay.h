/* SPDX-License-Identifier: MIT */
/*
 * The poll loop of one exchange: the request goes up while the response is awaited, bodies move
 * both ways, and after a checked 101 the bytes of a tunnel.
 */
#ifndef NOVNC_GATE_RELAY_H
#define NOVNC_GATE_RELAY_H

#include "proxy/flow.h"
#include "proxy/upstream.h"

enum relay_phase {
	RELAY_REQUEST, /* it goes up; down come interim responses */
	RELAY_BODY,    /* the final response's head has come, its body goes down */
	RELAY_TUNNEL,  /* an EOF is passed on; linger and idle bound the time */
};

/* The side whose end of a tunnel came first. */
enum relay_first {
	RELAY_NEITHER,
	RELAY_UP,   /* the client's */
	RELAY_DOWN, /* the backend's */
	RELAY_BOTH, /* both were there at the first look: nobody knows */
};

struct relay {
	const struct config *cfg;
	struct upstream *upstream;
	struct flow up, down;
	int sigfd; /* readable: SIGTERM has come */
	enum relay_phase phase;
	bool expects;       /* the client's body waits for a 100 (RFC 9110 10.1.1) */
	bool down_suffices; /* over as soon as the response is, whatever up still carries */
	bool moved;         /* something has, since it was last waited */
	enum relay_first first;
	/* spans in ms */
	uint64_t gone_ms; /* a peer acknowledges nothing; see stream_watch_gone() */
	uint64_t rest_ms; /* no byte in a tunnel that has memory to give back */
};

enum relay_end {
	RELAY_DONE,            /* both flows have ended as they should */
	RELAY_RESPONSE,        /* a head has come: see upstream's response */
	RELAY_UPSTREAM_FAILED, /* see its fault */
	RELAY_AT_REST, /* a tunnel waits and has closed its pipes: other memory may go as well */
	RELAY_CLIENT_FAILED,   /* the client, in its body or tunnel: see up's failure */
	RELAY_BACKEND_FAILED,  /* likewise; see down's */
	RELAY_CLIENT_TIMEOUT,  /* the client neither sends nor takes a body */
	RELAY_BACKEND_TIMEOUT, /* the backend neither sends nor takes one */
	RELAY_LINGER_TIMEOUT,
	RELAY_IDLE_TIMEOUT,
	RELAY_TERMINATED, /* SIGTERM */
	RELAY_POLL_FAILED,
};

/*
 * Runs until something ends. May be called again after RELAY_RESPONSE and RELAY_AT_REST. With
 * RELAY_POLL_FAILED *ret_error is -errno.
 */
enum relay_end relay_run(struct relay *r, int *ret_error);

#endif
