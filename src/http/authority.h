/* SPDX-License-Identifier: MIT */
/* Host and port as in URLs, Host and Origin; the one place that takes them apart. No I/O. */
#pragma once

#include <netinet/in.h>

#include "base/buf.h"

/* host [ ":" port ] of RFC 3986 3.2, without user names. */
struct authority {
	struct slice host; /* an IPv6 address with its brackets */
	unsigned port;     /* 0: none */
};

/* Parses the value of a Host field, RFC 9110 7.2. A ":" without digits is accepted and means no port. */
bool authority_parse(struct slice s, struct authority *ret);

/*
 * An Origin of http or https as browsers write it, RFC 6454 6.2: scheme "://" host [ ":" port ].
 * Without a port, ret->port is the scheme's default.
 */
bool authority_parse_origin(struct slice s, bool *ret_https, struct authority *ret);

/*
 * Splits a URL of http or https, whose scheme may be missing ("//host/path"), into the scheme's
 * default port (0: no scheme), the authority, and the rest from its first "/", "?" or "#" on.
 * False for any other text.
 */
bool authority_split_url(struct slice url, unsigned *ret_default_port,
			 struct slice *ret_authority, struct slice *ret_rest);

/* Splits after the host; *ret_port is the unchecked rest, such as ":80" or "". False for "[" without "]". */
bool authority_split(struct slice s, struct slice *ret_host, struct slice *ret_port);

/* A number from 1 to 65535 of at most five digits, and ":" with such a number. */
bool authority_port_number(struct slice s, unsigned *ret);
bool authority_port(struct slice s, unsigned *ret);

/* An IPv6 address in brackets. */
bool authority_ipv6(struct slice host, struct in6_addr *ret);

/* Compares two hosts: names without regard to case, IPv6 addresses by value. */
bool authority_same_host(struct slice a, struct slice b);
