/* SPDX-License-Identifier: MIT */
#include "net/proxy_header.h"

#include "base/network.h"

static void refuse(struct proxy_header *h, const char *why)
{
	h->state = PROXY_HEADER_INVALID;
	h->why = why;
}

/* ---- version 1: "PROXY TCP4 192.0.2.1 198.51.100.1 51234 443\r\n" */

#define V1_MALFORMED "the PROXY header, of version 1, is malformed"
#define V1_TOO_LONG  "the PROXY header, of version 1, is longer than 107 bytes"

/* The shortest line of each kind, in the order of their lengths. */
static const struct {
	struct slice line;
	size_t beginning; /* the kind is known after so many bytes */
} v1_shortest[] = {
	{ SLICE_INIT("PROXY UNKNOWN\r\n"), 13 },
	{ SLICE_INIT("PROXY TCP6 :: :: 0 0\r\n"), 10 },
	{ SLICE_INIT("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), 10 },
};

/* The shortest line that can begin like this one; NULL if there is none. */
static const struct slice *v1_find_shortest(struct slice line)
{
	for (size_t i = 0; i < COUNT(v1_shortest); i++) {
		size_t n = v1_shortest[i].beginning;

		if (memcmp(line.p, v1_shortest[i].line.p, line.len < n ? line.len : n) ==
		    0)
			return &v1_shortest[i].line;
	}
	return NULL;
}

/* How many bytes a line without a CR lacks at least, if its fields are as short as they can be. */
static size_t v1_missing(struct slice line, struct slice shortest)
{
	struct slice field = { 0 }, least = { 0 };
	size_t missing;

	while (line.p && slice_split(&shortest, ' ', &least))
		(void)slice_split(&line, ' ', &field); /* line.p is set */
	if (line.p)
		return 2; /* CR LF: anything may follow UNKNOWN */
	missing = field.len < least.len ? least.len - field.len : 0;
	if (shortest.p)
		missing += 1 + shortest.len;
	return missing < 2 ? 2 : missing;
}

static bool v1_read_port(struct slice s, uint16_t *ret)
{
	unsigned v = 0;

	if (s.len == 0 || s.len > 5 || (s.len > 1 && s.p[0] == '0'))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (unsigned)(s.p[i] - '0');
	}
	*ret = (uint16_t)v;
	return v <= UINT16_MAX;
}

static bool v1_read_address(struct slice s, bool v4, struct in6_addr *ret)
{
	bool has_colon = slice_find(s, ':') < s.len;

	return has_colon != v4 && network_parse_address(s, ret);
}

/* The whole line without its CRLF. The destination is checked, but not used. */
static void v1_read_line(struct proxy_header *h, struct slice line)
{
	struct slice field[6], unknown = SLICE("PROXY UNKNOWN");
	struct in6_addr to;
	uint16_t to_port;
	size_t n = 0;
	bool v4;

	if (line.len >= unknown.len && memcmp(line.p, unknown.p, unknown.len) == 0 &&
	    (line.len == unknown.len || line.p[unknown.len] == ' ')) {
		h->state = PROXY_HEADER_ANONYMOUS;
		return;
	}
	while (n < COUNT(field) && slice_split(&line, ' ', &field[n]))
		n++;
	if (n < COUNT(field) || line.p) {
		refuse(h, V1_MALFORMED);
		return;
	}
	v4 = slice_eq(field[1], SLICE("TCP4"));
	if ((v4 || slice_eq(field[1], SLICE("TCP6"))) &&
	    v1_read_address(field[2], v4, &h->address) &&
	    v1_read_address(field[3], v4, &to) && v1_read_port(field[4], &h->port) &&
	    v1_read_port(field[5], &to_port))
		h->state = PROXY_HEADER_NAMED;
	else
		refuse(h, V1_MALFORMED);
}

/* A CR or an LF alone is malformed, also behind UNKNOWN. */
static void v1_read(struct proxy_header *h)
{
	struct slice all = { h->kept, h->len }, line = { h->kept, slice_find(all, '\r') };
	const struct slice *shortest = v1_find_shortest(line);
	size_t missing;

	if (!shortest || slice_find(line, '\n') < line.len) {
		refuse(h, V1_MALFORMED);
		return;
	}
	if (line.len == all.len)
		missing = v1_missing(line, *shortest);
	else
		missing = all.len == line.len + 1 ? 1 : 0; /* the LF */
	if (missing > PROXY_HEADER_V1_MAX - all.len)
		refuse(h, V1_TOO_LONG);
	else if (missing > 0)
		h->wanted = missing;
	else if (all.len > line.len + 2 || all.p[line.len + 1] != '\n')
		refuse(h, V1_MALFORMED);
	else
		v1_read_line(h, line);
}

/* ---- version 2: 16 bytes, the addresses, and then optional values, which are not used */

#define V2_FIXED_LEN 16
#define V2_LOCAL     0x20
#define V2_PROXY     0x21

static const struct slice v2_signature = SLICE_INIT("\r\n\r\n\0\r\nQUIT\n");

enum { V2_UNSPEC, V2_INET, V2_INET6, V2_UNIX, V2_FAMILIES };
enum { V2_NO_TRANSPORT, V2_STREAM, V2_DGRAM, V2_TRANSPORTS };
/* Of both addresses and, where there are any, both ports. */
static const size_t v2_addresses_len[V2_FAMILIES] = {
	[V2_INET] = 12,
	[V2_INET6] = 36,
	[V2_UNIX] = 216,
};

static size_t read_number(const char *p)
{
	return (size_t)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

/* The addresses have been read; the source is the first. A checksum among the values is not verified. */
static void v2_read_source(struct proxy_header *h, unsigned family)
{
	const char *p = h->kept + V2_FIXED_LEN;

	h->state = PROXY_HEADER_NAMED;
	if (family == V2_INET) {
		memset(&h->address, 0, 10);
		memset(&h->address.s6_addr[10], 0xff, 2);
		memcpy(&h->address.s6_addr[12], p, 4);
		h->port = (uint16_t)read_number(p + 8);
	} else {
		memcpy(&h->address, p, 16);
		h->port = (uint16_t)read_number(p + 32);
	}
}

/* The fixed part has been read. */
static void v2_read(struct proxy_header *h)
{
	unsigned command = (unsigned char)h->kept[12];
	unsigned family = (unsigned char)h->kept[13] >> 4;
	unsigned transport = (unsigned char)h->kept[13] & 0xf;
	size_t len = read_number(h->kept + 14);

	if (command != V2_LOCAL && command != V2_PROXY)
		refuse(h, "the PROXY header has an unknown version or command");
	else if (command == V2_PROXY &&
		 (family >= V2_FAMILIES || transport >= V2_TRANSPORTS))
		refuse(h, "the PROXY header has an unknown address family or transport");
	else if (command == V2_PROXY && transport != V2_NO_TRANSPORT &&
		 len < v2_addresses_len[family])
		refuse(h, "the PROXY header is shorter than its addresses");
	else if (h->len < V2_FIXED_LEN + len)
		h->wanted = V2_FIXED_LEN + len - h->len;
	else if (command == V2_PROXY && transport != V2_NO_TRANSPORT &&
		 (family == V2_INET || family == V2_INET6))
		v2_read_source(h, family);
	else
		h->state = PROXY_HEADER_ANONYMOUS;
}

/* ---- the functions of proxy_header.h */

static bool begins_with(const struct proxy_header *h, struct slice s)
{
	return memcmp(h->kept, s.p, h->len < s.len ? h->len : s.len) == 0;
}

void proxy_header_init(struct proxy_header *ret)
{
	ret->state = PROXY_HEADER_INCOMPLETE;
	ret->wanted =
		v1_shortest[0].line.len; /* no header is shorter, of either version */
	ret->len = 0;
}

void proxy_header_add(struct proxy_header *h, struct slice bytes)
{
	size_t kept = h->len < sizeof(h->kept) ? h->len : sizeof(h->kept);
	size_t room = sizeof(h->kept) - kept;

	assert(h->state == PROXY_HEADER_INCOMPLETE && bytes.len > 0 &&
	       bytes.len <= h->wanted);
	memcpy(h->kept + kept, bytes.p, bytes.len < room ? bytes.len : room);
	h->len += bytes.len;
	if (begins_with(h, v2_signature) && h->len < V2_FIXED_LEN)
		h->wanted = V2_FIXED_LEN - h->len;
	else if (begins_with(h, v2_signature))
		v2_read(h);
	else if (begins_with(h, SLICE("PROXY ")))
		v1_read(h);
	else
		refuse(h, "it does not begin with a PROXY header");
}
