/* SPDX-License-Identifier: MIT */
#include "http/fields.h"

#define HOP       FIELDS_HOP_BY_HOP
#define RESERVED  FIELDS_RESERVED
#define PROTECTED FIELDS_PROTECTED
#define HEAD      FIELDS_HEAD_ONLY
#define PRIVATE   FIELDS_PRIVATE

/*
 * A row is for one name or, if that ends in "-", for all names that begin with it. If several rows match,
 * the last one counts.
 */
struct row {
	struct slice name;
	unsigned rules;
};

/* By first letter, so that a name is compared with few others. An empty row ends a letter's rows. */
#define ROWS_MAX  6
#define LETTER(c) [(c) - 'a']

static const struct row table['z' - 'a' + 1][ROWS_MAX] = {
	LETTER('a') = { { SLICE_INIT("Authorization"), PROTECTED | HEAD } },
	LETTER('c') = { { SLICE_INIT("Cache-Control"), HEAD },
			{ SLICE_INIT("Connection"), HOP },
			{ SLICE_INIT("Content-"), HEAD },
			{ SLICE_INIT("Content-Length"), HOP | PROTECTED | HEAD },
			{ SLICE_INIT("Cookie"), PROTECTED | HEAD } },
	LETTER('e') = { { SLICE_INIT("Expect"), HEAD } },
	LETTER('f') = { { SLICE_INIT("Forwarded"), RESERVED | PROTECTED } },
	LETTER('h') = { { SLICE_INIT("HTTP2-Settings"), HOP },
			{ SLICE_INIT("Host"), RESERVED | PROTECTED } },
	LETTER('k') = { { SLICE_INIT("Keep-Alive"), HOP } },
	LETTER('l') = { { SLICE_INIT("Location"), HEAD } },
	LETTER('m') = { { SLICE_INIT("Max-Forwards"), HEAD } },
	LETTER('o') = { { SLICE_INIT("Origin"), PROTECTED | HEAD } },
	LETTER('p') = { { SLICE_INIT("Proxy-"), HOP },
			/* responses keep it (RFC 9209 2) */
			{ SLICE_INIT("Proxy-Status"), RESERVED } },
	LETTER('r') = { { SLICE_INIT("Range"), HEAD } },
	LETTER('s') = { { SLICE_INIT("Sec-"), HEAD },
			{ SLICE_INIT("Sec-WebSocket-"), PROTECTED | HEAD },
			{ SLICE_INIT("Set-Cookie"), HEAD } },
	LETTER('t') = { { SLICE_INIT("TE"), HOP },
			{ SLICE_INIT("Trailer"), HEAD },
			{ SLICE_INIT("Transfer-Encoding"), HOP | PROTECTED } },
	LETTER('u') = { { SLICE_INIT("Upgrade"), HOP } },
	LETTER('v') = { { SLICE_INIT("Vary"), HEAD } },
	LETTER('w') = { { SLICE_INIT("WWW-Authenticate"), HEAD } },
	LETTER('x') = { { SLICE_INIT("X-Client-Cert-Subject"), RESERVED },
			{ SLICE_INIT("X-Forwarded-"), RESERVED | PROTECTED },
			{ SLICE_INIT("X-Novnc-"), RESERVED | PRIVATE },
			{ SLICE_INIT("X-Real-IP"), RESERVED },
			{ SLICE_INIT("X-Request-Id"), RESERVED | PRIVATE } },
};

static bool row_matches(struct slice row, struct slice name)
{
	bool is_prefix = row.p[row.len - 1] == '-';

	return (is_prefix || name.len == row.len) && slice_casestarts(name, row);
}

unsigned fields_rules(struct slice name)
{
	int letter = name.len > 0 ? (name.p[0] | 0x20) - 'a' : -1;
	unsigned ambiguous = 0, rules = 0;

	if (slice_find(name, '_') < name.len)
		ambiguous = FIELDS_AMBIGUOUS | FIELDS_RESERVED;
	if (letter < 0 || letter > 'z' - 'a')
		return ambiguous;
	for (const struct row *row = table[letter]; row->name.len > 0; row++)
		if (row_matches(row->name, name))
			rules = row->rules;
	return ambiguous | rules;
}
