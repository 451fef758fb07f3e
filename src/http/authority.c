/* SPDX-License-Identifier: MIT */
#include "http/authority.h"

#include <arpa/inet.h>
#include <ctype.h>

#include "http/path.h"

static bool is_reg_name(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '%') {
			if (path_percent_decode(slice_from(s, i)) < 0)
				return false;
		} else if (c >= 0x80 || !(isalnum(c) || strchr("-._~!$&'()*+,;=", c))) {
			return false;
		}
	}
	return s.len > 0;
}

bool authority_ipv6(struct slice host, struct in6_addr *ret)
{
	char text[INET6_ADDRSTRLEN];

	if (host.len < 2 || host.p[0] != '[' || host.len - 2 >= sizeof(text) ||
	    host.p[host.len - 1] != ']')
		return false;
	memcpy(text, host.p + 1, host.len - 2);
	text[host.len - 2] = '\0';
	return strlen(text) == host.len - 2 && inet_pton(AF_INET6, text, ret) == 1;
}

bool authority_split(struct slice s, struct slice *ret_host, struct slice *ret_port)
{
	bool bracket = s.len > 0 && s.p[0] == '[';
	size_t len = slice_find(s, bracket ? ']' : ':') + bracket;

	if (len > s.len)
		return false;
	*ret_host = (struct slice){ s.p, len };
	*ret_port = slice_from(s, len);
	return true;
}

bool authority_port(struct slice s, unsigned *ret)
{
	unsigned port = 0;

	if (s.len < strlen(":1") || s.len > strlen(":65535") || s.p[0] != ':')
		return false;
	for (size_t i = 1; i < s.len; i++) {
		unsigned digit = (unsigned)(s.p[i] - '0');

		if (digit > 9)
			return false;
		port = port * 10 + digit;
	}
	if (port < 1 || port > UINT16_MAX)
		return false;
	*ret = port;
	return true;
}

bool authority_parse(struct slice s, struct authority *ret)
{
	struct authority a = { .port = 0 };
	struct in6_addr address;
	struct slice port;

	if (!authority_split(s, &a.host, &port) ||
	    !(authority_ipv6(a.host, &address) || is_reg_name(a.host)) ||
	    !(port.len == 0 || slice_eq(port, SLICE(":")) ||
	      authority_port(port, &a.port)))
		return false;
	*ret = a;
	return true;
}

bool authority_parse_origin(struct slice s, struct slice *ret_scheme,
			    struct authority *ret)
{
	struct slice scheme = { s.p, slice_find(s, ':') }, host, port;
	unsigned default_port = authority_default_port(scheme);

	if (default_port == 0)
		return false;
	s = slice_from(s, scheme.len);
	if (!slice_casestarts(s, SLICE("://")))
		return false;
	s = slice_from(s, strlen("://"));
	if (!authority_split(s, &host, &port) || !authority_parse(s, ret))
		return false;
	/* a browser writes neither a ":" alone nor leading zeros */
	if (port.len > 0 && (ret->port == 0 || port.p[1] == '0'))
		return false;
	if (ret->port == 0)
		ret->port = default_port;
	*ret_scheme = scheme;
	return true;
}

bool authority_same_host(struct slice a, struct slice b)
{
	struct in6_addr one, other;

	return slice_caseeq(a, b) ||
	       (authority_ipv6(a, &one) && authority_ipv6(b, &other) &&
		memcmp(&one, &other, sizeof(one)) == 0);
}

unsigned authority_default_port(struct slice scheme)
{
	if (slice_caseeq(scheme, SLICE("http")))
		return 80;
	return slice_caseeq(scheme, SLICE("https")) ? 443 : 0;
}
