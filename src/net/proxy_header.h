/* SPDX-License-Identifier: MIT */
/*
 * The header of the PROXY protocol, version 1 or 2 (HAProxy, proxy-protocol.txt). A proxy sends it before
 * all other bytes of a connection, and names in it the client whose connection it forwards. HTTP or
 * TLS follows immediately, so nothing may be read beyond the header. No I/O.
 */
#pragma once

#include <netinet/in.h>

#include "base/buf.h"

/* The longest header of version 1, which is a line; its CRLF is included. */
#define PROXY_HEADER_V1_MAX 107

enum proxy_header_state {
	PROXY_HEADER_INCOMPLETE,
	PROXY_HEADER_NAMED,     /* complete; it names the client */
	PROXY_HEADER_ANONYMOUS, /* complete; the client is the peer of the socket */
	PROXY_HEADER_INVALID,
};

struct proxy_header {
	enum proxy_header_state state;
	/* PROXY_HEADER_INCOMPLETE: this many bytes more belong to the header at least; never 0 */
	size_t wanted;
	/* PROXY_HEADER_NAMED: the client; an IPv4 address is v4-mapped */
	struct in6_addr address;
	uint16_t port;
	const char *why; /* PROXY_HEADER_INVALID */
	size_t len;      /* of the bytes so far, of which only the first are kept */
	char kept[PROXY_HEADER_V1_MAX];
};

void proxy_header_init(struct proxy_header *ret);

/* Adds the next bytes of the connection, at most h->wanted; not after the header is complete or invalid. */
void proxy_header_add(struct proxy_header *h, struct slice bytes);
