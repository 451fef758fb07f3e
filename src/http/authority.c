/* SPDX-License-Identifier: MIT */
/* Host and port as URLs, Host and Origin have them. No I/O. */
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

/* An IPv6 address in brackets. */
static bool ipv6_parse(struct slice s, struct in6_addr *ret)
{
	char text[INET6_ADDRSTRLEN];

	if (s.len < 2 || s.p[0] != '[' || s.len - 2 >= sizeof(text) ||
	    s.p[s.len - 1] != ']')
		return false;
	memcpy(text, s.p + 1, s.len - 2);
	text[s.len - 2] = '\0';
	return strlen(text) == s.len - 2 && inet_pton(AF_INET6, text, ret) == 1;
}

bool authority_parse(struct slice s, struct authority *ret)
{
	size_t len =
		s.len > 0 && s.p[0] == '[' ? slice_find(s, ']') + 1 : slice_find(s, ':');
	struct in6_addr address;
	struct slice port;

	if (len > s.len)
		return false;
	*ret = (struct authority){ .host = { s.p, len } };
	if (!ipv6_parse(ret->host, &address) && !is_reg_name(ret->host))
		return false;
	port = slice_from(s, len);
	if (port.len == 0)
		return true;
	if (port.p[0] != ':' || port.len > strlen(":65535"))
		return false;
	for (size_t i = 1; i < port.len; i++) {
		if (!isdigit((unsigned char)port.p[i]))
			return false;
		ret->port = ret->port * 10 + (unsigned)(port.p[i] - '0');
	}
	return ret->port <= UINT16_MAX && (port.len == 1 || ret->port > 0);
}

bool authority_same_host(struct slice a, struct slice b)
{
	struct in6_addr one, other;

	return slice_caseeq(a, b) || (ipv6_parse(a, &one) && ipv6_parse(b, &other) &&
				      memcmp(&one, &other, sizeof(one)) == 0);
}

unsigned authority_default_port(struct slice scheme)
{
	if (slice_caseeq(scheme, SLICE("http")))
		return 80;
	return slice_caseeq(scheme, SLICE("https")) ? 443 : 0;
}
