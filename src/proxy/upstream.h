/* SPDX-License-Identifier: MIT */
/*
 * The connection to one backend: dial it or use it again, send a request's head, read the heads of
 * the response. It never waits: the caller polls for what it asks for, until its deadline, and calls
 * upstream_step(). Bodies are the caller's.
 */
#ifndef NOVNC_GATE_UPSTREAM_H
#define NOVNC_GATE_UPSTREAM_H

#include "http/http1.h"
#include "net/dial.h"
#include "proxy/fault.h"

enum upstream_phase {
	UPSTREAM_CLOSED,
	UPSTREAM_KEPT, /* at rest, open for another request */
	UPSTREAM_DIALLING,
	UPSTREAM_SENDING,   /* the request's head */
	UPSTREAM_AWAITING,  /* a response's head, while the caller sends the body */
	UPSTREAM_RESPONDED, /* the final head has come; the stream is the caller's */
};

enum upstream_result {
	UPSTREAM_WAITING,  /* poll, and call it again */
	UPSTREAM_RESPONSE, /* a head has come, interim or final: see response */
	UPSTREAM_FAILED,   /* see fault */
};

struct upstream {
	const struct backend *be;
	enum upstream_phase phase;
	struct stream stream;
	struct dial dial;
	short dial_events;    /* that have come for it */
	struct buf *in, *out; /* borrowed, from upstream_start() on */
	const struct upstream_request *request;
	size_t request_len; /* of the head in out, for another try */
	bool reused;        /* the connection has carried a request before */
	bool repeatable;    /* the request may be sent once more on a new connection */
	unsigned interim;   /* responses so far */
	uint64_t sent_ms;   /* when the last byte of the request was sent */
	struct lines_scan scan;
	size_t response_len; /* of the head at the beginning of in */
	bool unparsed; /* behind an interim response, another may have come with it */
	struct fault fault;
	/* between two requests */
	bool persistent;   /* the backend keeps the connection after this response */
	bool quiet;        /* nothing had come when the client was last waited for */
	uint64_t since_ms; /* when the last exchange ended */
	uint64_t keep_ms;  /* how long the backend keeps it open without one */
	struct http1_head response; /* points into in; large, and last */
};

/* How a request is sent and how its response is read. */
struct upstream_request {
	struct slice method; /* of a static string; HEAD has no body in its response */
	bool new_connection;
	bool repeatable;      /* idempotent and without a body (RFC 9110 9.2.2) */
	uint64_t connect_ms;  /* spans */
	uint64_t response_ms; /* from the last byte sent to the final head */
	size_t head_max;      /* bytes; in and out have more room than that */
	/* a backend at the address where this stream was accepted is the gate itself; or NULL */
	const struct stream *accepted;
};

/* Closed. */
void upstream_init(struct upstream *ret, const struct backend *be);

/*
 * Begins a request, whose head is in out; *request is borrowed until the final response.
 * Resolves the backend's name if it has to, which blocks within the resolver's own limits.
 */
enum upstream_result upstream_start(struct upstream *u,
				    const struct upstream_request *request,
				    struct buf *in, struct buf *out);

/* Goes on with what has come. After UPSTREAM_RESPONSE, upstream_next() first. */
enum upstream_result upstream_step(struct upstream *u);

/* The head in `response` has been used: what follows it is next in in. */
void upstream_next(struct upstream *u);

/* What to poll for; with body_pending the caller has bytes of the request's body to write. */
struct pollfd upstream_poll(const struct upstream *u, bool body_pending);

/* Takes what poll said of it. */
void upstream_take_events(struct upstream *u, short revents);

/* Would upstream_step() get on with what has come already? */
bool upstream_ready(const struct upstream *u);

/* The time until which poll may wait, and what follows when it has passed. */
uint64_t upstream_deadline_ms(const struct upstream *u);
enum upstream_result upstream_expire(struct upstream *u);

/* Its connection has failed, with -errno, before the final head: the request may be sent once more. */
enum upstream_result upstream_broken(struct upstream *u, int error);

/* Bytes of the request's body have been sent: the time for the response begins behind them. */
void upstream_body_sent(struct upstream *u, uint64_t now_ms);

/* A request has ended with its response: keeps the connection where it can be used again. */
void upstream_keep(struct upstream *u);

/*
 * Kept: the descriptor to poll for input while the client is waited for, or -1; and what poll said
 * of it. Nothing was asked for, so input, like an end, closes it.
 */
int upstream_kept_fd(const struct upstream *u);
void upstream_kept_events(struct upstream *u, short revents);

/*
 * Is it good for the request that begins? It has not ended, the backend's own time-out is not near,
 * and for a request that cannot be repeated it was used a moment ago.
 */
bool upstream_kept_is_good(const struct upstream *u);

/* Time has passed since that poll: its word is old. */
void upstream_kept_unseen(struct upstream *u);

/* Closes the connection. */
void upstream_close(struct upstream *u);

#endif
