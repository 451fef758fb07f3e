/* SPDX-License-Identifier: MIT */
/*
 * A request in the combined log format, which programs for web statistics read:
 * 192.0.2.1 - alice [30/Nov/2026:09:37:12 +0000] "GET /page HTTP/1.1" 200 1024 "-" "Mozilla/5.0"
 */
#pragma once

#include "base/buf.h"

/* A longer column is cut and ends in "...". */
#define COMBINED_COLUMN_MAX 512

/* The texts are escaped already, with at most COMBINED_COLUMN_MAX bytes each; an empty one becomes "-". */
struct combined {
	struct slice
		client; /* "192.0.2.1:51234", "[2001:db8::1]:51234", or without a port */
	struct slice user, method, path, protocol, status, bytes, referer, user_agent;
	uint64_t time_s; /* since 1970 */
};

/* Appends the line, without a line end. A byte that would end its column is written as \xNN. */
void combined_put(struct buf *b, const struct combined *c);
