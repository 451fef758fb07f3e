/* SPDX-License-Identifier: MIT */
/* The decisions about a final response before it is passed on to the client. No I/O. */
#pragma once

#include "proxy/flow.h"

enum request_kind {
	REQUEST_PLAIN,
	REQUEST_HEAD, /* its response has no body */
	REQUEST_UPGRADE,
};

/* The properties of a request that its response depends on. */
struct request {
	enum request_kind kind;
	bool http10;     /* the client gets neither interim responses nor chunks */
	bool persistent; /* another request may follow */
	bool expects;    /* the client waits for a 100 before it sends the body */
};

struct response_plan {
	bool chunked;  /* the body is sent in chunks */
	bool last;     /* the client's connection ends after it */
	bool suffices; /* the exchange ends after it, even without all of the request */
	bool needs_reset; /* only a reset tells the client that the body is incomplete */
};

/* Plans for the response h. up has the request's body; bytes_follow: the client has sent more. */
void response_plan(const struct request *q, const struct http1_head *h,
		   const struct flow *up, bool bytes_follow, struct response_plan *ret);
