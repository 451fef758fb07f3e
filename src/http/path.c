/* SPDX-License-Identifier: MIT */
#include "http/path.h"

#include <ctype.h>
#include <stdlib.h>

int path_percent_decode(struct slice s)
{
	char digits[] = "XX";

	if (s.len < 3 || s.p[0] != '%' || !isxdigit((unsigned char)s.p[1]) ||
	    !isxdigit((unsigned char)s.p[2]))
		return -1;
	memcpy(digits, s.p + 1, 2);
	return (int)strtol(digits, NULL, 16);
}

/*
 * A percent-encoded byte that has no special meaning when it is decoded; `before` is the
 * percent-encoded byte just before it, or 0. A server might decode twice, hence no %25; or
 * decode overlong UTF-8 (RFC 3629 10), in which %C0%AE is a dot.
 */
static bool is_text(int byte, int before)
{
	return byte >= 0x20 && byte != 0x7f && !strchr("%./;\\", byte) && byte != 0xc0 &&
	       byte != 0xc1 && !(before == 0xe0 && byte < 0xa0) &&
	       !(before == 0xf0 && byte < 0x90);
}

bool path_segment_is_plain(struct slice segment)
{
	/* servers such as Tomcat drop what follows a ";", so "..;a" is ".." to them */
	struct slice name = { segment.p, slice_find(segment, ';') };
	int byte, before = 0;

	if (slice_eq(name, SLICE(".")) || slice_eq(name, SLICE("..")) ||
	    (name.len == 0 && segment.len > 0))
		return false;
	for (size_t i = 0; i < segment.len; i++) {
		if (segment.p[i] == '\\')
			return false;
		if (segment.p[i] != '%') {
			before = 0;
			continue;
		}
		byte = path_percent_decode(slice_from(segment, i));
		if (!is_text(byte, before))
			return false;
		before = byte;
		i += 2;
	}
	return true;
}

static bool path_is_plain(struct slice path)
{
	struct slice rest, segment;

	if (path.len == 0 || path.p[0] != '/')
		return false;
	rest = slice_from(path, 1);
	while (slice_split(&rest, '/', &segment))
		if (!path_segment_is_plain(segment) || (segment.len == 0 && rest.p))
			return false; /* an empty segment is allowed at the end only */
	return true;
}

/*
 * Matches one segment with one of a glob, in which `*` is any text. After a mismatch only the
 * last `*` is tried with more text, which is enough and keeps the work bounded.
 */
static bool segment_match(struct slice glob, struct slice s)
{
	size_t g = 0, i = 0, star = glob.len, star_end = 0;

	while (i < s.len) {
		if (g < glob.len && glob.p[g] == '*') {
			star = g++;
			star_end = i;
		} else if (g < glob.len && glob.p[g] == s.p[i]) {
			g++;
			i++;
		} else if (star < glob.len) {
			g = star + 1;
			i = ++star_end;
		} else {
			return false;
		}
	}
	while (g < glob.len && glob.p[g] == '*')
		g++;
	return g == glob.len;
}

/* A place in a glob and in a path. */
struct place {
	struct slice glob, path; /* the segments that are left */
	struct slice star;       /* the text that the first segment `*` has matched */
};

/* Goes past the next segment of both if they match. */
static bool place_step(struct place *at)
{
	struct place next = *at;
	struct slice g, s;

	if (!slice_split(&next.glob, '/', &g) || !slice_split(&next.path, '/', &s) ||
	    !segment_match(g, s))
		return false;
	if (slice_eq(g, SLICE("*"))) {
		if (s.len == 0)
			return false;
		if (!next.star.p)
			next.star = s;
	}
	*at = next;
	return true;
}

/* Goes past a `**` of the glob if there is one. */
static bool place_skip_globstar(struct place *at)
{
	struct slice rest = at->glob, g;

	if (!slice_split(&rest, '/', &g) || !slice_eq(g, SLICE("**")))
		return false;
	at->glob = rest;
	return true;
}

/* As segment_match() for segments: only the last `**` is tried with more of them. */
static bool segments_match(struct slice glob, struct slice path, struct slice *star)
{
	struct place at = { .glob = glob, .path = path }, again = { 0 };
	struct slice taken;

	while (at.path.p) {
		if (place_skip_globstar(&at)) {
			again = at;
		} else if (!place_step(&at)) {
			if (!slice_split(&again.path, '/', &taken))
				return false; /* also if no `**` has come: again.path.p is NULL */
			at = again;
		}
	}
	while (place_skip_globstar(&at))
		;
	if (at.glob.p)
		return false;
	*star = at.star;
	return true;
}

bool path_match(const char *glob, struct slice path, struct slice *star)
{
	*star = (struct slice){ NULL, 0 };
	return path_is_plain(path) &&
	       segments_match(slice_str(glob + 1), slice_from(path, 1), star);
}
