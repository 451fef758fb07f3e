/* SPDX-License-Identifier: MIT */
/* The sessions that are open at a place in the journal, by the ids of their requests. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* More than these are left out: their closing entries may have been lost. */
#define OPEN_SESSIONS_MAX 100000

struct open_session {
	char *request_id, *user, *client; /* owned; the client without its port */
	char *invocation;                 /* owned; "": not known */
	uint64_t begun_us;
};

/* All zero in the beginning. */
struct open_sessions {
	void *tree; /* of tsearch(3) */
	size_t n;
};

/* These copy the texts. */
struct open_session *open_session_make(const char *request_id, const char *user,
				       struct slice client, const char *invocation,
				       uint64_t begun_us);
void open_session_free(struct open_session *s);

/* Takes over *s, whose id is not there yet. */
void open_sessions_add(struct open_sessions *all, struct open_session *s);

/* Removes a session, which the caller then owns. NULL: there is none. */
struct open_session *open_sessions_take(struct open_sessions *all,
					const char *request_id);
struct open_session *open_sessions_take_any(struct open_sessions *all);

void open_sessions_done(struct open_sessions *all);
