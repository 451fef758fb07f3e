/* SPDX-License-Identifier: MIT */
/* How a final response is passed on to the client. No I/O. */
#ifndef NOVNC_GATE_RESPONSE_H
#define NOVNC_GATE_RESPONSE_H

#include "proxy/flow.h"

enum request_kind {
	REQUEST_PLAIN,
	REQUEST_HEAD,    /* its response has no body */
	REQUEST_UPGRADE, /* to websocket */
};

/* The facts of a request that are needed once its head has gone. */
struct request {
	enum request_kind kind;
	bool http10;     /* gets no interim responses and no chunks */
	bool persistent; /* another request may follow it */
	bool expects;    /* a 100 before it sends its body */
};

struct response_plan {
	bool chunked;       /* the body is sent in chunks */
	bool last;          /* the client's connection ends after it */
	bool down_suffices; /* the exchange is over with it, whatever is left of the request */
	bool reset_shows; /* only a reset shows the client that the body is incomplete */
};

/* For the response h; up carries the request's body, bytes_follow: the client has sent more. */
void response_plan(const struct request *q, const struct http1_head *h,
		   const struct flow *up, bool bytes_follow, struct response_plan *ret);

#endif
