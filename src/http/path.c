/* SPDX-License-Identifier: MIT */
/* Paths: which all servers read alike, and which match a glob. No I/O. */
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
 * Whether a byte that is encoded is no more than text to those who decode it, be it once more
 * than they should or from overlong UTF-8 (RFC 3629 10), as %C0%AE is for a dot.
 */
static bool is_text(int byte, int before)
{
	return byte >= 0x20 && byte != 0x7f && !strchr("%./;\\", byte) && byte != 0xc0 &&
	       byte != 0xc1 && !(before == 0xe0 && byte < 0xa0) &&
	       !(before == 0xf0 && byte < 0x90);
}

bool path_segment_is_plain(struct slice segment)
{
	/* Tomcat and its kind look at a name without its parameters */
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
			return false; /* a trailing slash is no empty segment */
	return true;
}

/*
 * One segment against one of a glob's, in which `*` is any text. Where it fails only the
 * last `*` is tried with more, which is enough and keeps the work bounded.
 */
static bool segment_match(struct slice glob, struct slice s)
{
	size_t g = 0, i = 0, star = glob.len, taken = 0;

	while (i < s.len) {
		if (g < glob.len && glob.p[g] == '*') {
			star = g++;
			taken = i;
		} else if (g < glob.len && glob.p[g] == s.p[i]) {
			g++;
			i++;
		} else if (star < glob.len) {
			g = star + 1;
			i = ++taken;
		} else {
			return false;
		}
	}
	while (g < glob.len && glob.p[g] == '*')
		g++;
	return g == glob.len;
}

/* A place in a glob and in a path, with what a segment `*` has stood for on the way. */
struct place {
	struct slice glob, path; /* what is left of them, segment by segment */
	struct slice star;
};

/* Past the next segment of both, where they match. */
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

/* Past a `**` of the glob. */
static bool place_skip_globstar(struct place *at)
{
	struct slice rest = at->glob, g;

	if (!slice_split(&rest, '/', &g) || !slice_eq(g, SLICE("**")))
		return false;
	at->glob = rest;
	return true;
}

/* As segment_match(), of segments: only the last `**` is tried with more. */
static bool segments_match(struct slice glob, struct slice path, struct slice *star)
{
	struct place at = { .glob = glob, .path = path }, again = { 0 };
	struct slice taken;

	while (at.path.p) {
		if (place_skip_globstar(&at)) {
			again = at;
		} else if (!place_step(&at)) {
			if (!slice_split(&again.path, '/', &taken))
				return false;
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
