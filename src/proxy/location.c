/* SPDX-License-Identifier: MIT */
#include "proxy/location.h"

#include <ctype.h>

#include "http/authority.h"

/* Next.js writes "localhost" into URLs when it listens on 127.0.0.1 or ::1. */
static bool is_this_machine(struct slice host)
{
	static const struct slice names[] = {
		SLICE_INIT("localhost"), SLICE_INIT("127.0.0.1"), SLICE_INIT("[::1]"),
		SLICE_INIT("0.0.0.0"),   SLICE_INIT("[::]"),
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (authority_same_host(host, names[i]))
			return true;
	return false;
}

/*
 * Either scheme is accepted, because backends take it from X-Forwarded-Proto. A URL without a
 * port has the default port of its own scheme or of the backend's.
 */
static bool names_backend(const struct authority *a, unsigned default_port,
			  const struct backend *be)
{
	struct authority own;
	bool same_port;

	if (!be->host[0] || !authority_parse(slice_str(be->authority), &own))
		return false; /* a Unix socket has neither host nor port */
	same_port = a->port > 0 ? a->port == be->port
				: be->port == default_port || own.port == 0;
	return same_port && (authority_same_host(a->host, own.host) ||
			     (is_this_machine(a->host) && is_this_machine(own.host)));
}

/* Browsers read "//" and "/\" as the beginning of an authority, and ignore tabs. */
static bool stays_on_host(struct slice path)
{
	return path.len < 2 || path.p[0] != '/' || !memchr("/\\\t", path.p[1], 3);
}

bool location_names(const struct backend *be, struct slice url, struct slice *ret_path)
{
	struct authority authority;
	struct slice text, path;
	unsigned default_port;

	if (!authority_split_url(url, &default_port, &text, &path) ||
	    !authority_parse(text, &authority) ||
	    !names_backend(&authority, default_port, be) || !stays_on_host(path))
		return false;
	*ret_path = path;
	return true;
}

/* [ "url" [ "=" ] ] URL, which may be in quotes. */
static struct slice refresh_url(struct slice s)
{
	struct slice named;

	if (slice_casestarts(s, SLICE("url"))) {
		named = slice_trim(slice_from(s, strlen("url")));
		if (named.len > 0 && named.p[0] == '=')
			s = slice_trim(slice_from(named, 1));
	}
	if (s.len > 0 && (s.p[0] == '"' || s.p[0] == '\'')) {
		char quote = s.p[0];

		s = slice_from(s, 1);
		s.len = slice_find(s, quote);
	}
	return s;
}

/* The "shared declarative refresh steps" of the HTML standard: a time, a separator, the URL. */
struct slice location_in_refresh(struct slice value)
{
	static const struct slice none = SLICE_INIT("");
	struct slice s = value;

	while (s.len > 0 && (isdigit((unsigned char)s.p[0]) || s.p[0] == '.'))
		s = slice_from(s, 1);
	if (s.len == value.len || s.len == 0 || !memchr(" \t;,", s.p[0], 4))
		return none;
	s = slice_trim(s);
	if (s.len > 0 && (s.p[0] == ';' || s.p[0] == ','))
		s = slice_trim(slice_from(s, 1));
	return refresh_url(s);
}
