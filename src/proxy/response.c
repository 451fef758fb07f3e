/* SPDX-License-Identifier: MIT */
#include "proxy/response.h"

/* The client's connection must end after it. */
static bool is_last(const struct request *q, const struct http1_head *h,
		    const struct flow *up, bool reusable, bool bytes_follow)
{
	if (!q->persistent || q->http10 || h->framing == HTTP1_UNTIL_CLOSE)
		return true;
	if (q->kind == REQUEST_UPGRADE && bytes_follow)
		return true;
	if (flow_complete(up))
		return false;
	/* the rest of the request's body will not be read, or may never come (RFC 9110 10.1.1) */
	return up->state == FLOW_SINK_CLOSED || !reusable ||
	       (q->expects && up->bytes == 0);
}

void response_plan(const struct request *q, const struct http1_head *h,
		   const struct flow *up, bool bytes_follow, struct response_plan *ret)
{
	bool reusable = http1_persistent(h); /* the backend's connection */

	ret->chunked = h->framing == HTTP1_CHUNKED && !q->http10;
	ret->last = is_last(q, h, up, reusable, bytes_follow);
	ret->suffices = ret->last && !flow_complete(up) && (!reusable || q->expects);
	ret->needs_reset = h->framing == HTTP1_UNTIL_CLOSE ||
			   (h->framing == HTTP1_CHUNKED && !ret->chunked);
}
