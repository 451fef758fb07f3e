/* SPDX-License-Identifier: MIT */
/*
 * Moves two flows, client to backend (up) and backend to client (down), until both have
 * ended: bodies and tunnels alike, in one poll loop.
 */
#ifndef NOVNC_GATE_RELAY_H
#define NOVNC_GATE_RELAY_H

#include "proxy/flow.h"

/* Whose end of a tunnel has come first. */
enum relay_first {
	RELAY_NEITHER,
	RELAY_UP,   /* the client's */
	RELAY_DOWN, /* the backend's */
	RELAY_BOTH, /* both were there when it was looked: nobody knows */
};

struct relay {
	struct flow up, down;
	int sigfd;          /* readable: SIGTERM has come */
	bool tunnel;        /* an EOF is passed on; linger and idle bound the time */
	bool expects;       /* the client's body waits for a 100 (RFC 9110 10.1.1) */
	bool down_suffices; /* over as soon as the answer is, whatever up still carries */
	bool moved;         /* something has, since it was last waited */
	enum relay_first first;
	/* spans in ms */
	uint64_t answer_ms; /* the whole request sent to its answer's head */
	uint64_t body_ms;   /* no progress in a body */
	uint64_t linger_ms; /* no byte in a tunnel of which one direction has ended */
	uint64_t idle_ms;   /* no byte in a tunnel */
	uint64_t gone_ms;   /* a peer acknowledges nothing; see stream_watch_gone() */
	uint64_t rest_ms;   /* no byte in a tunnel that has memory to give back */
};

enum relay_end {
	RELAY_DONE,  /* both flows have ended as they should */
	RELAY_INPUT, /* more bytes for the head that a flow waits for, or an EOF */
	RELAY_RESTS, /* a tunnel waits and has closed its pipes: other memory may go as well */
	/* reset, ended in its body, or sent a wrong one: see the error of up or down */
	RELAY_CLIENT_FAILED,
	RELAY_BACKEND_FAILED,
	RELAY_ANSWER_TIMEOUT,
	RELAY_CLIENT_TIMEOUT,  /* the client neither sends nor takes a body */
	RELAY_BACKEND_TIMEOUT, /* the backend neither sends nor takes one */
	RELAY_LINGER_TIMEOUT,
	RELAY_IDLE_TIMEOUT,
	RELAY_TERMINATED, /* SIGTERM */
	RELAY_FAULT,      /* our own: poll failed */
};

/* Runs until something ends. May be called again after RELAY_INPUT and RELAY_RESTS. */
enum relay_end relay_run(struct relay *r);

#endif
