/* SPDX-License-Identifier: MIT */
/* One request to a backend, and its response or the tunnel that it opens; before it, maybe an authorization request. */
#pragma once

#include "http/upgrade.h"
#include "proxy/authorize.h"
#include "proxy/downstream.h"
#include "proxy/relay.h"
#include "proxy/route.h"

enum exchange_end {
	EXCHANGE_AUTHORIZED, /* Next.js has authorized the request: exchange_run() follows */
	EXCHANGE_TUNNEL,     /* a checked 101 is sent: exchange_tunnel() follows */
	EXCHANGE_UNDECIDED, /* with the fault of a recheck: exchange_tunnel() follows again */
	EXCHANGE_NEXT,      /* the connection is ready for another request */
	EXCHANGE_LAST,      /* complete; the client's connection ends now */
	EXCHANGE_NO_RESPONSE, /* no final response was sent: send an error response */
	EXCHANGE_CUT,         /* incomplete; closing the connection tells the client so */
	EXCHANGE_RESET,       /* incomplete; only a reset tells the client so */
	EXCHANGE_GONE,        /* the client is gone, or the process has to stop */
};

struct exchange {
	/* results */
	unsigned status; /* of the response, or for the error response; 0: none */
	bool tunnel;     /* a tunnel was opened */
	bool authorizes; /* this is the authorization request, not the client's own */
	bool denied;     /* Next.js does not authorize the request: 401, 403 or 404 */
	/* with EXCHANGE_AUTHORIZED: who the client is */
	char user[AUTHORIZE_USER_MAX + 1];
	bool close; /* with EXCHANGE_NO_RESPONSE: UpgradeErrors=close, so send error_close */
	struct fault fault;
	struct relay relay; /* its flows have counted the bytes */
	/* private */
	struct downstream *downstream;
	struct upstream *upstream;
	struct upstream_request request;
	enum exchange_end end_if_failed;
	/* the client's request */
	size_t head_len; /* of its head; 0 as soon as exchange_deny() has consumed it */
	bool no_content; /* its method is HEAD, so its response has no content */
	bool upgrade;
	bool http10;          /* the client gets neither interim responses nor chunks */
	bool client_persists; /* the client's connection may carry another request */
	bool expects;         /* the request has Expect: 100-continue (RFC 9110 10.1.1) */
	bool last;            /* the client's connection ends after the response */
	struct slice id_line; /* as in struct verdict */
	char accept[UPGRADE_ACCEPT_SIZE];
	char protocol[64]; /* upgrade_first_protocol() */
};

/*
 * Sends the request with the head h to the backend of the verdict, and the response to the client.
 * The head's head_len bytes are the first in the client's input, and are consumed.
 */
enum exchange_end exchange_run(struct exchange *x, struct downstream *d,
			       const struct http1_head *h, size_t head_len,
			       const struct verdict *v);

/*
 * Sends an authorization request to Next.js, before exchange_run() with the same arguments. The client's
 * request is not consumed if it is authorized; else the client gets Next.js' refusal, or the exchange ends
 * like any other. Its body is not read.
 */
enum exchange_end exchange_authorize(struct exchange *x, struct downstream *d,
				     const struct http1_head *h, size_t head_len,
				     const struct verdict *v);

/* After EXCHANGE_TUNNEL: moves bytes until the tunnel ends. */
enum exchange_end exchange_tunnel(struct exchange *x);

/* Instead of exchange_tunnel(): resets both sides. failure is "cannot ...", with -errno. */
enum exchange_end exchange_abort(struct exchange *x, const char *failure, int error);

/* ---- between exchange.c, exchange_authorize.c and exchange_end.c */

/* The final response: writes its head and prepares for its body; or the client gets a Close. 0, or -1 with the fault. */
int exchange_respond(struct exchange *x);

/*
 * The final head of the response to an authorization request has come. Returns 0 if the client gets this
 * response, 1 if its request is authorized, or -1 with the fault.
 */
int exchange_judge(struct exchange *x);

/* Sets the fault with which the exchange ends. */
#define EXCHANGE_FAIL(x, blame, status, ...) \
	(fault_set(&(x)->fault, blame, status, __VA_ARGS__), exchange_failed(x))

/* It ends with its fault: with an error response if one can still be sent. */
enum exchange_end exchange_failed(struct exchange *x);

/* The relay has stopped and is not run again. */
enum exchange_end exchange_stopped(struct exchange *x, enum relay_result result);

/* Prepares both connections for the next request, or closes the backend's. Returns `end`. */
enum exchange_end exchange_finish(struct exchange *x, enum exchange_end end);
