/* SPDX-License-Identifier: MIT */
/* Entries of the journal: those of the gate, and those of novnc-gatectl about a session. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/entry.h"

struct entries {
	struct entry *entry; /* owned; the oldest first */
	size_t n;
};

/*
 * Reads the last `most` entries: those of the connection with this invocation id, and of novnc-gatectl about it;
 * or, if that is NULL, all about the session with this id, of the caller's gate (user) or of the system's, with
 * systemd's entry if its process was killed.
 * Returns 0 or -errno.
 */
int entries_read(bool user, const char *invocation, const char *session, size_t most,
		 struct entries *ret);
void entries_done(struct entries *e);

/* The journal of the system can be read, or there is none. Else there may be more entries than are found. */
bool entries_are_readable(void);
#define ENTRIES_HINT "The journal shows no entries to this user; see journalctl(1)."

struct entries_query {
	bool user;      /* --user: of the caller's gate */
	unsigned kinds; /* 1 << enum event_kind, of each that is wanted */
	/* only entries after the one with this cursor, which need not be in the journal any more; NULL: all */
	const char *cursor;
	uint64_t until_us; /* no later ones; UINT64_MAX: all */
	size_t most;       /* no more than that; 0: all */
};

/*
 * Calls on() with each of these entries, the oldest first; it borrows the entry. *ret_cursor, if it is not NULL,
 * becomes the cursor of the last one, or NULL if there is none; free() it. Returns 0 or -errno; with most,
 * 1 if there may be more.
 */
int entries_each(const struct entries_query *q,
		 void (*on)(void *userdata, const struct entry *e), void *userdata,
		 char **ret_cursor);
