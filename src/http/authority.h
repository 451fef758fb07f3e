/* SPDX-License-Identifier: MIT */
/* Host and port as URLs, Host and Origin have them. No I/O. */
#ifndef NOVNC_GATE_AUTHORITY_H
#define NOVNC_GATE_AUTHORITY_H

#include "base/buf.h"

/* An authority taken apart, RFC 3986 3.2. */
struct authority {
	struct slice host; /* an IPv6 address with its brackets */
	unsigned port;     /* 0: none */
};

/* host [ ":" port ], RFC 9110 7.2; a port without digits is none. False for anything else. */
bool authority_parse(struct slice s, struct authority *ret);

/* Compares two hosts: names in any case, IPv6 addresses by their value. */
bool authority_same_host(struct slice a, struct slice b);

/* The default port of http and https; 0 for every other scheme. */
unsigned authority_default_port(struct slice scheme);

#endif
