/* SPDX-License-Identifier: MIT */
/* An entry of the journal, as far as the commands need it. */
#pragma once

#include <stdint.h>
#include <systemd/sd-journal.h>

/* Texts are owned, and "" if the entry does not have them; control characters are replaced. */
struct entry {
	uint64_t time_us;                   /* when it was sent, since 1970 */
	char *id, *message, *program, *pid; /* MESSAGE_ID=, MESSAGE=, ... */
	char *uid, *boot, *invocation;      /* of the writer, as the journal knows them */
	char *session, *request_id;         /* these are NOVNC_GATE_SESSION=, ... */
	char *user, *client, *reason, *by;
	char *ended, *result; /* systemd's INVOCATION_ID= and UNIT_RESULT= */
	uint64_t status, up, down, duration_ms; /* 0 if it does not have them */
};

/* Reads the entry at which the journal is. */
void entry_read(sd_journal *j, struct entry *ret);
void entry_done(struct entry *e);

/* The administrator who has disconnected: in root's own words, or else the user that wrote the entry. free() it. */
char *entry_by(const struct entry *e);

/* Only entries with this field are read from now on, as with sd_journal_add_match(3). */
int entry_match(sd_journal *j, const char *name, const char *value);
