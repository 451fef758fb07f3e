/* SPDX-License-Identifier: MIT */
/*
 * Checks the raw lines of a head or a trailer section (RFC 9112 2.2, 5) before any parser reads
 * them, since parsers differ from version to version in the faults that they accept.
 */
#pragma once

#include "base/buf.h"

/* A field line, RFC 9110 5. Both point into the buffer; the value is without its OWS. */
struct field {
	struct slice name, value;
};

/* The part of a section that has been checked; zeroed before its first byte. */
struct lines_scan {
	size_t pos;      /* bytes checked */
	size_t line;     /* where the current line begins */
	size_t lines;    /* complete lines before it */
	const char *why; /* after -EBADMSG: the fault, in words */
};

/*
 * `in` begins with the section; looks for the empty line that ends it. Refuses bare CR and LF,
 * obs-fold and control characters before it. Continues where the last call ended; `in` must begin
 * with the same bytes. Returns the section's length with the empty line (at most max); -EAGAIN
 * if more has to come; -EMSGSIZE if it does not end within max bytes; or -EBADMSG.
 */
ssize_t lines_scan(struct lines_scan *s, struct slice in, size_t max);

/*
 * Takes the next field line off a section that lines_scan() has accepted. Returns 1; 0 at the
 * empty line; -EBADMSG if it is not `token ":" OWS value OWS` (RFC 9112 5).
 */
int lines_field(struct slice *rest, struct field *ret);

/* Takes the next line, without its CRLF, off a section that lines_scan() has accepted. */
struct slice lines_next(struct slice *rest);

/* A character of a token, and a token (RFC 9110 5.6.2). */
bool lines_is_tchar(unsigned char c);
bool lines_is_token(struct slice s);
