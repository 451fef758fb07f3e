/* SPDX-License-Identifier: MIT */
/*
 * Writes a head anew from what was parsed; a raw head is never copied. Hop-by-hop fields (RFC 9110
 * 7.6.1) and fields that a client could forge are left out.
 * No I/O. All functions return 0, -ENOBUFS if `out` has no room (its content is then undefined),
 * or -E2BIG if a head has more than REWRITE_OPTIONS_MAX options.
 */
#pragma once

#include "config/config.h"
#include "http/http1.h"
#include "net/client.h"
#include "proxy/route.h"

/* The most options in the Connection fields of one head, and the message if there are more. */
#define REWRITE_OPTIONS_MAX 64
#define REWRITE_TOO_MANY    "more than 64 Connection options"

/*
 * A request for the backend of a verdict. The gate itself sets Host, X-Forwarded-*,
 * X-Client-Cert-Subject and, if the verdict says so, Origin and X-Forwarded-User.
 */
int rewrite_request(const struct http1_head *h, const struct verdict *v,
		    const struct backend *be, const struct client *client,
		    struct buf *out);

/*
 * Before that: the authorization request, a GET of `path` for the request h. It has the client's Cookie
 * and Authorization, and no other field of the client's.
 */
int rewrite_authorization(const struct http1_head *h, const struct verdict *v,
			  const struct backend *be, const struct client *client,
			  const char *path, struct buf *out);

/* The parameters of a forwarded response. */
struct rewrite_mode {
	const struct backend *from; /* URLs that name this backend become paths */
	bool chunked;               /* the body is sent in chunks */
	bool close;                 /* with Connection: close */
	struct slice id_line;       /* as in struct verdict */
};

/* A response for the client: final, interim (1xx), or the checked 101. */
int rewrite_response(const struct http1_head *h, const struct rewrite_mode *mode,
		     struct buf *out);
