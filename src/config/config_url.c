/* SPDX-License-Identifier: MIT */
/* URLs of backends, origins, paths with wildcards, networks, request targets. */
#include "config/config_keys.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

#include "base/network.h"
#include "http/authority.h"
#include "http/path.h"

/* strspn() may read past a slice. Here that is safe: the slice is part of a string with a NUL. */
#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* ---- host[:port] */

static bool is_label(struct slice s)
{
	return s.len >= 1 && s.len <= 63 && s.p[0] != '-' && s.p[s.len - 1] != '-' &&
	       strspn(s.p, LETTERS DIGITS "-_") >= s.len;
}

/* A DNS name, RFC 1123 2.1, with "_" as in the names of containers. */
static const char *name_check(const char *host)
{
	struct slice rest = slice_str(host), label = rest;
	struct in_addr v4;

	if (rest.len > 1 && rest.p[rest.len - 1] == '.') /* fully qualified */
		rest.len--;
	if (rest.len > 253)
		return "has a host name that is too long";
	while (slice_split(&rest, '.', &label))
		if (!is_label(label))
			return "has an invalid host name";
	/* label is the last: no TLD is numeric, and resolvers take 127.1 or 0x7f000001 for addresses */
	if (strspn(label.p, DIGITS) >= label.len || inet_aton(host, &v4))
		return "has an invalid IPv4 address";
	return NULL;
}

/* A name or an IPv4 address. */
static const char *host_parse(struct slice s, struct backend *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&ret->addr;

	if (s.len == 0)
		return "has no host";
	if (s.len >= sizeof(ret->host))
		return "has a host name that is too long";
	memcpy(ret->host, s.p, s.len);
	ret->host[s.len] = '\0';
	if (inet_pton(AF_INET, ret->host, &v4->sin_addr) != 1)
		return name_check(ret->host);
	v4->sin_family = AF_INET;
	v4->sin_port = htons(ret->port);
	ret->addr_len = sizeof(*v4);
	return NULL;
}

/* An IPv6 address; ret->host is as a browser would write it, but without brackets. */
static const char *host_parse_v6(struct slice s, struct backend *ret)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ret->addr;

	if (!authority_ipv6(s, &v6->sin6_addr))
		return "has an invalid IPv6 address";
	(void)inet_ntop(AF_INET6, &v6->sin6_addr, ret->host,
			sizeof(ret->host)); /* fits */
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(ret->port);
	ret->addr_len = sizeof(*v6);
	return NULL;
}

/* Fills host, port (default_port where there is none), addr and authority. */
static const char *host_port_parse(struct slice s, uint16_t default_port,
				   struct backend *ret)
{
	bool v6 = s.len > 0 && s.p[0] == '[';
	unsigned number = default_port;
	struct slice host, port;
	const char *why;

	if (slice_find(s, '@') < s.len)
		return "has a user name";
	if (!authority_split(s, &host, &port))
		return "has a [ without a ]";
	/* port begins with a colon; no leading zero, which browsers do not send */
	if (port.len > 0 && (!authority_port(port, &number) || port.p[1] == '0'))
		return "has an invalid port (1 to 65535; write an IPv6 address in brackets)";
	ret->port = (uint16_t)number;
	why = v6 ? host_parse_v6(host, ret) : host_parse(host, ret);
	if (why)
		return why;

	(void)snprintf(ret->authority, sizeof(ret->authority), v6 ? "[%s]" : "%s",
		       ret->host);
	if (ret->port != default_port)
		(void)snprintf(ret->authority + strlen(ret->authority), sizeof(":65535"),
			       ":%u", ret->port);
	return NULL;
}

/* ---- backends */

static const char *unix_parse(const char *path, struct backend *ret)
{
	struct sockaddr_un *sun = (struct sockaddr_un *)&ret->addr;
	size_t len = strlen(path);

	if (path[0] != '/')
		return "has no absolute path";
	if (len >= sizeof(sun->sun_path))
		return "has a path longer than 107 bytes, the limit of Unix sockets";
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path, path, len + 1);
	ret->addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	(void)snprintf(ret->authority, sizeof(ret->authority), "localhost");
	return NULL;
}

static const char *url_parse(const char *text, void *ret)
{
	const struct backend *old = ret;
	struct backend be = { .name = old->name,
			      .section = old->section,
			      .url = text,
			      .trust = old->trust };
	struct slice s = slice_str(text);
	const char *why;

	if (strpbrk(text, " \t"))
		return "contains white space";
	be.tls = slice_casestarts(s, SLICE("https://"));
	if (slice_casestarts(s, SLICE("unix:"))) {
		why = unix_parse(text + strlen("unix:"), &be);
	} else if (be.tls || slice_casestarts(s, SLICE("http://"))) {
		s = slice_from(s, strlen(be.tls ? "https://" : "http://"));
		if (s.len > 0 && s.p[s.len - 1] == '/')
			s.len--;
		if (strcspn(s.p, "/?#") < s.len)
			return "has a path or a query";
		why = host_port_parse(s, be.tls ? 443 : 80, &be);
	} else {
		return "is not a supported URL";
	}
	be.literal = be.addr_len > 0;
	if (!why)
		*(struct backend *)ret = be;
	return why;
}

static void url_format(const void *value, char ret[static CONFIG_VALUE_TEXT])
{
	(void)snprintf(ret, CONFIG_VALUE_TEXT, "%s",
		       ((const struct backend *)value)->url);
}

const struct config_kind config_kind_url = {
	.allowed = "http://host:port, https://host:port or unix:/path",
	.parse = url_parse,
	.format = url_format,
};

/* ---- origins, RFC 6454 6.2 */

/* Also refuses an IPv6 address that browsers write in another way, because it would never match. */
static const char *origin_check(const char *text)
{
	size_t scheme = strspn(text, LETTERS DIGITS "+-.");
	struct backend parsed = { 0 };
	const char *authority, *why;

	if (strcmp(text, "*") == 0)
		return NULL;
	if (!isalpha((unsigned char)text[0]) || strncmp(text + scheme, "://", 3) != 0)
		return "is not an origin";
	authority = text + scheme + strlen("://");
	if (strpbrk(authority, "/?#"))
		return "has a path or a query; an origin has none, not even a / at its end";
	if (strchr(authority, '*'))
		return "contains a *, which is allowed only by itself";
	why = host_port_parse(slice_str(authority), 0, &parsed);
	if (why)
		return why;
	if (strcasecmp(parsed.authority, authority) != 0)
		return "would never match: browsers use the shortest form of an IPv6 address";
	return NULL;
}

const struct config_kind config_kind_origins = {
	.allowed = "* or scheme://host[:port], such as https://dashboard.example",
	.check_word = origin_check,
};

/* ---- paths with wildcards */

#define PCHARS LETTERS DIGITS "-._~!$&'()*+,;=:@" /* RFC 3986 3.3 */

/* Refuses characters that no path has (RFC 3986), and segments that path_match() never matches. */
static const char *segment_check(struct slice s)
{
	if (slice_eq(s, SLICE("**")))
		return NULL;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '%') {
			if (path_percent_decode(slice_from(s, i)) < 0)
				return "has a % without two hexadecimal digits";
		} else if (!strchr(PCHARS, s.p[i])) {
			return "would never match: only letters, digits, %XX and "
			       "-._~!$&'()+,;=:@ are allowed in a path";
		}
		if (s.p[i] == '*' && i > 0 && s.p[i - 1] == '*')
			return "has a ** that is not a whole segment";
	}
	if (s.len > 0 && s.p[0] == ';')
		return "would never match: it has a segment that begins with a ;";
	if (!path_segment_is_plain(s))
		return "would never match: it has a . or .. segment, or an encoded "
		       ". / \\ ; % or control character, or overlong UTF-8";
	return NULL;
}

static const char *glob_check(const char *text)
{
	struct slice rest, segment;
	const char *why;

	if (text[0] != '/')
		return "does not begin with a /";
	for (rest = slice_str(text + 1); slice_split(&rest, '/', &segment);) {
		if (segment.len == 0 && rest.p) /* not the last segment */
			return "would never match: it has an empty segment (//)";
		why = segment_check(segment);
		if (why)
			return why;
	}
	return NULL;
}

const struct config_kind config_kind_globs = {
	.allowed =
		"a path such as /api/*/novnc/**; * matches anything but /, and ** any number "
		"of segments",
	.check_word = glob_check,
};

/* ---- networks */

static const char *network_check(const char *text)
{
	struct network net;

	switch (network_parse(slice_str(text), &net)) {
	case 0: return NULL;
	case -EDOM: return "has bits behind its prefix: it is an address, not a network";
	default: return "is neither an IP address nor a network";
	}
}

const struct config_kind config_kind_networks = {
	.allowed = "an IP address or a network, such as 192.0.2.1, 10.0.0.0/8 or "
		   "2001:db8::/32",
	.check_word = network_check,
};

/* ---- a request target in origin-form (RFC 9112 3.2.1) */

static const char *target_parse(const char *text, void *ret)
{
	if (text[0] != '/' && text[0] != '\0')
		return "does not begin with a /";
	if (text[0] == '/' && text[1] == '/')
		return "begins with two slashes";
	if (strlen(text) >= CONFIG_VALUE_TEXT)
		return "is too long";
	for (const char *p = text; *p; p++) {
		if (!strchr(PCHARS "/?%", *p))
			return "contains a character that no path has";
		if (*p == '%' && path_percent_decode(slice_str(p)) < 0)
			return "has a % without two hexadecimal digits";
	}
	*(const char **)ret = text[0] != '\0' ? text : NULL;
	return NULL;
}

const struct config_kind config_kind_target = {
	.allowed = "a path such as /api/novnc/authorization",
	.parse = target_parse,
	.format = config_string_format,
};
