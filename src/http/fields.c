/* SPDX-License-Identifier: MIT */
/* The tables of field names. No I/O. */
#include "http/fields.h"

/* names: an array, so that their lengths are known at compile time. */
#define IS_ONE_OF(name, names) slice_casein(name, names, sizeof(names) / sizeof(*(names)))

bool fields_is_hop_by_hop(struct slice name)
{
	static const struct slice names[] = {
		SLICE_INIT("Connection"),
		SLICE_INIT("Content-Length"),
		SLICE_INIT("HTTP2-Settings"),
		SLICE_INIT("Keep-Alive"),
		SLICE_INIT("TE"),
		SLICE_INIT("Transfer-Encoding"),
		SLICE_INIT("Upgrade"),
	};

	return IS_ONE_OF(name, names) || slice_casestarts(name, SLICE("Proxy-"));
}

bool fields_is_ambiguous(struct slice name)
{
	return slice_find(name, '_') < name.len;
}

bool fields_is_reserved(struct slice name)
{
	static const struct slice names[] = {
		SLICE_INIT("Forwarded"),
		SLICE_INIT("Host"),
		SLICE_INIT("X-Client-Cert-Subject"),
		SLICE_INIT("X-Real-IP"),
	};

	return IS_ONE_OF(name, names) || slice_casestarts(name, SLICE("X-Forwarded-")) ||
	       fields_is_ambiguous(name);
}

bool fields_may_trail(struct slice name)
{
	/* they have a meaning only ahead of a body, or prove who asks */
	static const struct slice head_only[] = {
		SLICE_INIT("Authorization"), SLICE_INIT("Cache-Control"),
		SLICE_INIT("Cookie"),        SLICE_INIT("Expect"),
		SLICE_INIT("Location"),      SLICE_INIT("Max-Forwards"),
		SLICE_INIT("Origin"),        SLICE_INIT("Range"),
		SLICE_INIT("Trailer"),       SLICE_INIT("Set-Cookie"),
		SLICE_INIT("Vary"),          SLICE_INIT("WWW-Authenticate"),
	};

	return !fields_is_hop_by_hop(name) && !fields_is_reserved(name) &&
	       !IS_ONE_OF(name, head_only) &&
	       !slice_casestarts(name, SLICE("Content-")) &&
	       !slice_casestarts(name, SLICE("Sec-"));
}

bool fields_is_protected(struct slice name)
{
	static const struct slice names[] = {
		SLICE_INIT("Authorization"),
		SLICE_INIT("Content-Length"),
		SLICE_INIT("Cookie"),
		SLICE_INIT("Forwarded"),
		SLICE_INIT("Host"),
		SLICE_INIT("Origin"),
		SLICE_INIT("Transfer-Encoding"),
	};

	return IS_ONE_OF(name, names) ||
	       slice_casestarts(name, SLICE("Sec-WebSocket-")) ||
	       slice_casestarts(name, SLICE("X-Forwarded-"));
}
