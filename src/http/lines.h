/* SPDX-License-Identifier: MIT */
/*
 * The raw lines of a head or a trailer section, looked over before any parser sees them,
 * for parsers differ from version to version in what they let through (RFC 9112 2.2, 5).
 */
#ifndef NOVNC_GATE_LINES_H
#define NOVNC_GATE_LINES_H

#include "base/buf.h"

/* A field line, RFC 9110 5. Both point into the buffer; the value is without its OWS. */
struct field {
	struct slice name, value;
};

/* How far a section has been looked over; zeroed at its beginning. */
struct lines_scan {
	size_t pos;      /* bytes looked over */
	size_t line;     /* where the current line begins */
	size_t lines;    /* complete lines before it */
	const char *why; /* with -EBADMSG: what is wrong, for people */
};

/*
 * Looks for the empty line that ends the section at the beginning of in, and on the way
 * refuses bare CR and LF, obs-fold and control characters. Goes on where the last call
 * ended; in must begin with the same bytes. Returns the section's length with its empty
 * line (at most max), -EAGAIN when more is to come, -EMSGSIZE when it cannot end within
 * max bytes, -EBADMSG.
 */
ssize_t lines_scan(struct lines_scan *s, struct slice in, size_t max);

/*
 * Takes the next field line off a section that lines_scan() has passed. Returns 1, 0 at
 * the empty line, -EBADMSG for what is no `token ":" OWS value OWS` (RFC 9112 5).
 */
int lines_field(struct slice *rest, struct field *ret);

/* Takes the next line, without its CRLF, off a section that lines_scan() has passed. */
struct slice lines_take(struct slice *rest);

/* Whether c may stand in a token, and whether s is one: RFC 9110 5.6.2. */
bool lines_is_tchar(unsigned char c);
bool lines_is_token(struct slice s);

#endif
