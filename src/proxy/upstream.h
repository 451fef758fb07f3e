/* SPDX-License-Identifier: MIT */
/*
 * The connection to one backend: dial it or use it again, send a request's head, read the heads of
 * the response. The caller calls poll(2) and then upstream_step(); only resolving a name blocks. The
 * caller also transfers the bodies.
 */
#pragma once

#include "http/http1.h"
#include "net/dial.h"
#include "proxy/fault.h"

enum upstream_phase {
	UPSTREAM_CLOSED,
	UPSTREAM_KEPT, /* idle, open for another request */
	UPSTREAM_DIALLING,
	UPSTREAM_SENDING, /* the request's head; a response may come before all of it is sent */
	UPSTREAM_AWAITING, /* a response's head, while the caller sends the request's body */
	UPSTREAM_RESPONDED, /* the final head has come; the caller uses the stream */
};

enum upstream_result {
	UPSTREAM_WAITING,  /* call poll(2), then upstream_step() */
	UPSTREAM_RESPONSE, /* `response` is a head, interim or final */
	UPSTREAM_FAILED,   /* the request's `fault` is set */
};

struct upstream {
	const struct backend *be;
	enum upstream_phase phase;
	struct stream stream;
	struct dial dial;
	short dial_events;           /* from poll(2), for dial_step() */
	struct buf *in, *out;        /* borrowed, from upstream_start() on */
	struct http1_head *response; /* likewise; points into `in` */
	const struct upstream_request *request;
	size_t request_len;     /* of the head in `out`, to send it again */
	bool reused;            /* the connection has carried a request before */
	bool repeatable;        /* the request may be sent again on a new connection */
	unsigned interim;       /* number of interim responses so far */
	uint64_t sent_ms;       /* when connected or, later, when bytes were last sent */
	struct lines_scan scan; /* of the head at the beginning of `in` */
	/* between two requests */
	bool persistent; /* the backend keeps the connection after this response */
	bool quiet; /* no event came while the gate waited for the client's request */
	uint64_t since_ms; /* when the last exchange ended */
	uint64_t keep_ms;  /* how long the backend keeps an idle connection */
};

/* The parameters of a request and of its response. */
struct upstream_request {
	bool is_head; /* the method is HEAD: the response has no body */
	bool new_connection;
	bool repeatable;      /* idempotent and without a body (RFC 9110 9.2.2) */
	uint64_t connect_ms;  /* span */
	uint64_t response_ms; /* span from sent_ms of struct upstream to the final head */
	size_t head_max;      /* bytes; `in` has room for it */
	/* the client's stream, to see if the backend is the gate itself; NULL: no check */
	const struct stream *accepted;
	/* how the backend was reached, to reach it in a tunnel's sandbox; NULL: it is resolved */
	const struct dial_known *known;
	struct fault *fault; /* set with UPSTREAM_FAILED */
};

/* Begins as UPSTREAM_CLOSED. */
void upstream_init(struct upstream *ret, const struct backend *be);

/*
 * Begins a request, whose head is in `out`; *request is borrowed until the final response.
 * Resolves the backend's name if it has to, which blocks within the resolver's own limits.
 */
enum upstream_result upstream_start(struct upstream *u,
				    const struct upstream_request *request,
				    struct buf *in, struct buf *out,
				    struct http1_head *response);

/* Continues after poll(2). After UPSTREAM_RESPONSE, call upstream_next() first. */
enum upstream_result upstream_step(struct upstream *u);

/* Removes the head of `response` from `in`. */
void upstream_next(struct upstream *u);

/* For poll(2). to_read: the caller accepts a head now. to_write: it has bytes of the body. */
struct pollfd upstream_poll(const struct upstream *u, bool to_read, bool to_write);

/* Notes the events that poll(2) returned. */
void upstream_note_events(struct upstream *u, short revents);

/* upstream_step() can make progress before the next poll. */
bool upstream_ready(const struct upstream *u);

/* The deadline for poll(2), and the step to take when it has passed. */
uint64_t upstream_deadline_ms(const struct upstream *u);
enum upstream_result upstream_expire(struct upstream *u);

/* After the connection has failed with -errno, before the final head: may send the request again. */
enum upstream_result upstream_broken(struct upstream *u, int error);

/* Bytes of the request's body have been sent: ResponseTimeoutSec= starts again. */
void upstream_body_sent(struct upstream *u, uint64_t now_ms);

/* After a complete exchange: keeps the connection if it can be used again, else closes it. */
void upstream_keep(struct upstream *u);

/*
 * For a kept connection: the descriptor to poll for input while the client's next request is
 * awaited, or -1; and the events that poll(2) returned. Any event closes the connection, because
 * a backend sends nothing without a request.
 */
int upstream_kept_fd(const struct upstream *u);
void upstream_kept_events(struct upstream *u, short revents);

/*
 * The kept connection can be used for the request that begins: it is open, the backend will not
 * close it soon, and for a request that cannot be repeated it was used a moment ago.
 */
bool upstream_kept_is_good(const struct upstream *u);

/* Clears `quiet`, which is out of date after an exchange. */
void upstream_quiet_clear(struct upstream *u);

/* Closes the connection. */
void upstream_close(struct upstream *u);
