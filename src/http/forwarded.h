/* SPDX-License-Identifier: MIT */
/*
 * The client and its request, as a trusted proxy tells them: X-Forwarded-For, -Proto, -Host and -Port; or Forwarded
 * (RFC 7239), if it sends none of these four; and X-Request-Id. No I/O.
 */
#pragma once

#include "base/network.h"
#include "http/http1.h"

enum forwarded_by {
	FORWARDED_BY_NONE, /* no proxy, or one that is not trusted: its fields count for nothing */
	FORWARDED_BY_X, /* X-Forwarded-*, of which some or all may be missing */
	FORWARDED_BY_RFC7239,
};

enum forwarded_proto {
	FORWARDED_PROTO_UNKNOWN,
	FORWARDED_HTTP,
	FORWARDED_HTTPS,
};

/* The longest X-Request-Id, in bytes. */
#define FORWARDED_ID_MAX 128

/* Zeroed: nothing is said. The slices point into the head. */
struct forwarded {
	enum forwarded_by by;
	bool has_client;
	struct in6_addr client; /* with has_client */
	enum forwarded_proto proto;
	struct slice host;  /* host [ ":" port ]; "": not said */
	unsigned host_port; /* in host; 0: none */
	unsigned port;      /* X-Forwarded-Port; 0: not said */
	/* X-Request-Id; "" unless one came, of visible ASCII characters, and not too long */
	struct slice request_id;
};

/*
 * Reads the fields of a request that came from a trusted proxy. The client is the right-most address
 * that is not trusted; if all are trusted, the left-most. What stands before an element that is no
 * address may be forged, and does not count. Returns NULL, or what is malformed, in words; then
 * *ret is still good for what it has.
 */
const char *forwarded_read(const struct http1_head *h, struct network_list trusted,
			   struct forwarded *ret);

/*
 * Appends the addresses that the proxies have named, as the beginning of an X-Forwarded-For's value:
 * each with ", " behind it. Returns 0 or -ENOBUFS.
 */
int forwarded_put_for(const struct http1_head *h, enum forwarded_by by, struct buf *out);
