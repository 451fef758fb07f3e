/* SPDX-License-Identifier: MIT */
/* An entry of the journal, as far as the commands need it. */
#pragma once

#include <stdint.h>

/* Texts are owned, and "" if the entry does not have them; control characters are replaced. */
struct entry {
	uint64_t time_us;                   /* when it was sent, since 1970 */
	char *id, *message, *program, *pid; /* MESSAGE_ID=, MESSAGE=, ... */
	char *uid, *boot;                   /* as the journal knows them */
	char *session, *request_id;         /* these are NOVNC_GATE_SESSION=, ... */
	char *user, *client, *reason, *by;
	uint64_t status, up, down, duration_ms; /* 0 if it does not have them */
};
