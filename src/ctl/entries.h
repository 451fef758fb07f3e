/* SPDX-License-Identifier: MIT */
/* Entries of the journal about one connection or one session. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct entry {
	uint64_t time_us; /* since 1970 */
	char *program;    /* "novnc-gate"; owned, as the others */
	char *pid;
	char *message; /* control characters are replaced */
	char *id;      /* MESSAGE_ID=, or "" */
};

struct entries {
	struct entry *entry; /* owned; the oldest first */
	size_t n;
};

/*
 * Reads the last `most` entries: those of the connection with this invocation id, and of novnc-gatectl about it;
 * or, if that is NULL, all about the session with this id. Returns 0 or -errno.
 */
int entries_read(const char *invocation, const char *session, size_t most,
		 struct entries *ret);
void entries_done(struct entries *e);
