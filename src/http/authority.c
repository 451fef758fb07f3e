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
	return strlen(text) == host.len - 2 /* no NUL inside */ &&
	       inet_pton(AF_INET6, text, ret) == 1;
}

bool authority_split(struct slice s, struct slice *ret_host, struct slice *ret_port)
{
	bool bracket = s.len > 0 && s.p[0] == '[';
	/* with the "]"; if there is none, this is s.len + 1 */
	size_t len = slice_find(s, bracket ? ']' : ':') + bracket;

	if (len > s.len)
		return false;
	*ret_host = (struct slice){ s.p, len };
	*ret_port = slice_from(s, len);
	return true;
}

bool authority_port_number(struct slice s, unsigned *ret)
{
	uint64_t port;

	if (s.len > strlen("65535") || !slice_number(s, UINT16_MAX, &port) || port == 0)
		return false;
	*ret = (unsigned)port;
	return true;
}

bool authority_port(struct slice s, unsigned *ret)
{
	return s.len > 0 && s.p[0] == ':' && authority_port_number(slice_from(s, 1), ret);
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

bool authority_split_url(struct slice url, unsigned *ret_default_port,
			 struct slice *ret_authority, struct slice *ret_rest)
{
	bool https = slice_casestarts(url, SLICE("https:"));
	bool http = slice_casestarts(url, SLICE("http:"));
	struct slice authority;

	url = slice_from(url, https ? strlen("https:") : http ? strlen("http:") : 0);
	if (!slice_casestarts(url, SLICE("//")))
		return false;
	url = authority = slice_from(url, strlen("//"));
	authority.len = slice_find(authority, '/');
	authority.len = slice_find(authority, '?');
	authority.len = slice_find(authority, '#');
	*ret_default_port = https ? 443 : http ? 80 : 0;
	*ret_authority = authority;
	*ret_rest = slice_from(url, authority.len);
	return true;
}

bool authority_parse_origin(struct slice s, bool *ret_https, struct authority *ret)
{
	struct slice authority, port, rest;
	unsigned default_port;

	if (!authority_split_url(s, &default_port, &authority, &rest) ||
	    default_port == 0 || rest.len > 0 || !authority_parse(authority, ret))
		return false;
	port = slice_from(authority, ret->host.len);
	/* a browser writes neither a ":" alone nor leading zeros */
	if (port.len > 0 && (ret->port == 0 || port.p[1] == '0'))
		return false;
	if (ret->port == 0)
		ret->port = default_port;
	*ret_https = default_port == 443;
	return true;
}

bool authority_same_host(struct slice a, struct slice b)
{
	struct in6_addr one, other;

	return slice_caseeq(a, b) ||
	       (authority_ipv6(a, &one) && authority_ipv6(b, &other) &&
		memcmp(&one, &other, sizeof(one)) == 0);
}
