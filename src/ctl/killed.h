/* SPDX-License-Identifier: MIT */
/*
 * Sessions whose process was killed or has crashed: there is no closing entry of the gate, but one of systemd
 * (EVENT_KILLED), which names only the invocation of the unit.
 */
#pragma once

#include <stdbool.h>

#include "ctl/entry.h"

/* All but user is zero in the beginning. */
struct killed {
	bool user;           /* of the caller's gate */
	sd_journal *journal; /* owned; NULL: not open yet */
};

/*
 * Adds session, request, user, client, duration and reason to an entry of systemd. Returns 1; 0 if the process had
 * no open session; or -errno.
 */
int killed_complete(struct killed *k, struct entry *e);

/* Looks for systemd's entry about this invocation. Returns 1 with *ret, complete; 0 if there is none; or -errno. */
int killed_find(struct killed *k, const char *invocation, struct entry *ret);

void killed_done(struct killed *k);
