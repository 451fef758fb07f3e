/* SPDX-License-Identifier: MIT */
/*
 * The poll loop of one exchange: the request goes up while the response is awaited, bodies move
 * both ways, and after a checked 101 the bytes of a tunnel.
 */
#pragma once

#include "proxy/recheck.h"
#include "proxy/tunnel.h"
#include "proxy/upstream.h"

enum relay_phase {
	RELAY_REQUEST, /* sends the request, receives interim responses */
	RELAY_BODY,    /* after the final response's head: both bodies */
	RELAY_TUNNEL,  /* after a checked 101 */
};

struct relay {
	const struct config *cfg;
	struct upstream *upstream;
	struct flow up, down;
	struct tunnel tunnel;    /* begun with RELAY_TUNNEL */
	struct recheck *recheck; /* likewise; borrowed; NULL: none */
	int sigfd;               /* readable after SIGTERM */
	int error;               /* with RELAY_POLL_FAILED, -errno */
	enum relay_phase phase;
	bool awaits_100;        /* the client waits for a 100 before it sends its body */
	bool response_suffices; /* stops after the response, even without all of the request */
	bool moved;             /* the steps since the last wait made progress */
	bool ready;             /* the next step can make some without a wait */
	uint64_t gone_ms; /* a peer that acknowledges nothing for so long has failed */
};

enum relay_result {
	RELAY_RUNNING,         /* no result yet; relay_run() does not return it */
	RELAY_DONE,            /* both bodies are complete, or the response suffices */
	RELAY_RESPONSE,        /* a head has come: `response` of the upstream */
	RELAY_UPSTREAM_FAILED, /* the request's `fault` is set */
	RELAY_RELEASE, /* a tunnel is idle: its pipes are closed; now release other memory */
	RELAY_UNDECIDED,       /* a recheck has brought no decision: its `fault` is set */
	RELAY_TUNNEL_OVER,     /* with `end` of the tunnel */
	RELAY_CLIENT_FAILED,   /* in a body, with the failure of the flow up */
	RELAY_BACKEND_FAILED,  /* likewise, of the flow down */
	RELAY_CLIENT_TIMEOUT,  /* the client neither sends nor reads a body */
	RELAY_BACKEND_TIMEOUT, /* the backend neither sends nor reads a body */
	RELAY_TERMINATED,      /* SIGTERM */
	RELAY_POLL_FAILED,     /* with the relay's error */
};

/* Runs until there is a result; may be called again after RELAY_RESPONSE, RELAY_RELEASE and RELAY_UNDECIDED. */
enum relay_result relay_run(struct relay *r);
