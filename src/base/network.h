/* SPDX-License-Identifier: MIT */
/*
 * IP addresses and networks, as in TrustedProxies=. An IPv4 address is kept as a v4-mapped one, so that
 * both spellings, 192.0.2.1 and ::ffff:192.0.2.1, are the same address. No I/O.
 */
#pragma once

#include <netinet/in.h>

#include "base/buf.h"

struct network {
	struct in6_addr prefix; /* the bits behind its length are 0 */
	unsigned len;           /* in bits, 0 to 128; of IPv4 96 to 128 */
};

struct network_list {
	const struct network *networks;
	size_t n;
};

/* "192.0.2.1", "2001:db8::1" or "::ffff:192.0.2.1"; without brackets, port and zone. */
bool network_parse_address(struct slice s, struct in6_addr *ret);

/* Writes an address as text: 192.0.2.1, 2001:db8::1. */
void network_format(const struct in6_addr *address, char ret[static INET6_ADDRSTRLEN]);

/*
 * An address, or an address and the length of its prefix: "192.0.2.0/24", "2001:db8::/32". Returns 0,
 * -EINVAL for any other text, or -EDOM if the address has bits behind the prefix.
 */
int network_parse(struct slice s, struct network *ret);

/* An IPv4 address is in networks of IPv4 only, not in ::/0. */
bool network_contains(const struct network *net, const struct in6_addr *address);

bool network_list_contains(struct network_list list, const struct in6_addr *address);

/* Parses words that network_parse() accepts, with NULL at their end. Returns 0, or -ENOMEM; call network_list_done(). */
int network_list_parse(const char *const words[], struct network_list *ret);
void network_list_done(struct network_list *list);
