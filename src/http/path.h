/* SPDX-License-Identifier: MIT */
/* Paths that all servers understand alike, and globs that match paths. No I/O. */
#pragma once

#include "base/buf.h"

/* The byte that is percent-encoded at the beginning of s, or -1 if none is. */
int path_percent_decode(struct slice s);

/*
 * All servers understand this segment alike. They do not if it is a dot segment, also with
 * parameters (`..;a`); if it has nothing but parameters; if it has a backslash; or if a "%" is
 * malformed or encodes a control character, `.`, `/`, `\`, `;`, "%", or the beginning of overlong
 * UTF-8.
 */
bool path_segment_is_plain(struct slice segment);

/*
 * Matches a path with a glob: `*` is any text without a "/", but not empty if it is a whole
 * segment; `**` is any number of segments, also none. A path does not match if one of its segments
 * is not plain, or is empty and not the last. *star is the text that the first whole segment `*`
 * has matched; it is empty if the glob has none or does not match.
 */
bool path_match(const char *glob, struct slice path, struct slice *star);
