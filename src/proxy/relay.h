/* SPDX-License-Identifier: MIT */
/*
 * The poll loop of one exchange: the request goes up while the response is awaited, bodies move
 * both ways, and after a checked 101 the bytes of a tunnel.
 */
#pragma once

#include "proxy/flow.h"
#include "proxy/upstream.h"

enum relay_phase {
	RELAY_REQUEST, /* sends the request, receives interim responses */
	RELAY_BODY,    /* after the final response's head: both bodies */
	RELAY_TUNNEL,  /* passes on an EOF; LingerTimeoutSec= and IdleTimeoutSec= apply */
};

enum relay_side {
	RELAY_NEITHER,
	RELAY_CLIENT,
	RELAY_BACKEND,
	RELAY_BOTH,
};

struct relay {
	const struct config *cfg;
	struct upstream *upstream;
	struct flow up, down;
	int sigfd; /* readable after SIGTERM */
	int error; /* with RELAY_POLL_FAILED, -errno */
	enum relay_phase phase;
	bool awaits_100;        /* the client waits for a 100 before it sends its body */
	bool response_suffices; /* stops after the response, even without all of the request */
	bool moved;             /* the steps since the last wait made progress */
	enum relay_side closed_first; /* of a tunnel; RELAY_BOTH: seen in one step */
	uint64_t gone_ms;    /* a peer that acknowledges nothing for so long has failed */
	uint64_t release_ms; /* a tunnel idle for so long gets RELAY_RELEASE */
};

enum relay_result {
	RELAY_RUNNING,         /* no result yet; relay_run() does not return it */
	RELAY_DONE,            /* both flows are complete, or the response suffices */
	RELAY_RESPONSE,        /* a head has come: `response` of the upstream */
	RELAY_UPSTREAM_FAILED, /* the request's `fault` is set */
	RELAY_RELEASE, /* a tunnel is idle: its pipes are closed; now release other memory */
	RELAY_CLIENT_FAILED,   /* in a body or tunnel, with the failure of the flow up */
	RELAY_BACKEND_FAILED,  /* likewise, of the flow down */
	RELAY_CLIENT_TIMEOUT,  /* the client neither sends nor reads a body */
	RELAY_BACKEND_TIMEOUT, /* the backend neither sends nor reads a body */
	RELAY_LINGER_TIMEOUT,
	RELAY_IDLE_TIMEOUT,
	RELAY_TERMINATED,  /* SIGTERM */
	RELAY_POLL_FAILED, /* with the relay's error */
};

/* Runs until there is a result; may be called again after RELAY_RESPONSE and RELAY_RELEASE. */
enum relay_result relay_run(struct relay *r);
