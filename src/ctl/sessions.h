/* SPDX-License-Identifier: MIT */
/* The open connections: what they are, from systemd; what they have moved, from the kernel. */
#pragma once

#include "ctl/parse.h"
#include "ctl/systemd.h"

struct session {
	struct systemd_unit unit;
	char *status;      /* STATUS= of the unit; NULL: none */
	bool is_session;   /* in contrast to pages and the WebSockets of Next.js */
	char *id, *user;   /* NULL: none */
	char *client;      /* "192.0.2.1:51234" */
	char *invocation;  /* NULL: not asked for */
	uint64_t since_us; /* when its connection was accepted */
	struct parse_ends ends;
	bool has_ends;
	bool counted; /* the three below are known */
	uint64_t up, down, idle_ms;
};

struct sessions {
	struct session *session; /* owned; sorted by the name of the unit */
	size_t n;
};

enum sessions_which {
	SESSIONS_ONLY, /* to the master-controller */
	SESSIONS_ALL,  /* all connections */
};

/*
 * Reads all that are open. *s is empty, or the result of an earlier call: then what cannot have
 * changed is taken from there. Returns 0 or -errno, after which *s is empty.
 */
int sessions_read(sd_bus *bus, enum sessions_which which, bool invocations,
		  struct sessions *s);

/*
 * The same, with systemd_again().
 */
int sessions_read_again(bool user, sd_bus **bus, const struct systemd_wait *wait,
			enum sessions_which which, bool invocations, struct sessions *s);
void sessions_done(struct sessions *s);

/*
 * The invocation ids of all connections, also of those that are being stopped, sorted; the caller frees each, and
 * the array. Returns 0 or -errno.
 */
int sessions_invocations(sd_bus *bus, char ***ret, size_t *ret_n);

/* Looks into the list of sessions_invocations(). */
bool sessions_has_invocation(char *const list[], size_t n, const char *invocation);

/* The one with this unit, or NULL. */
struct session *sessions_find(const struct sessions *s, const char *unit);
