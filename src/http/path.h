/* SPDX-License-Identifier: MIT */
/* Paths: which all servers read alike, and which match a glob. No I/O. */
#ifndef NOVNC_GATE_PATH_H
#define NOVNC_GATE_PATH_H

#include "base/buf.h"

/* The byte that the percent-encoding at the beginning of s stands for; -1: it is none. */
int path_percent_decode(struct slice s);

/*
 * Whether all servers read the same in what stands between two slashes. They do not where it
 * is a dot segment, also one with parameters (`..;a`), nor where parameters are all there is
 * of it, where it has a backslash, or where a "%" is malformed or encodes what has a meaning
 * in a path: a control character, `.`, `/`, `\`, `;` or a "%" once more.
 */
bool path_segment_is_plain(struct slice segment);

/*
 * Whether a path matches a glob: `*` does not cross "/" and is not nothing where it is a
 * whole segment, `**` is any number of segments, none included. A path with an empty segment
 * or one that is not plain matches nothing. *star is what the first segment `*` of a glob
 * that matches stood for, else of no length.
 */
bool path_match(const char *glob, struct slice path, struct slice *star);

#endif
