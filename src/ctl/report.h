/* SPDX-License-Identifier: MIT */
/* A span of time as the journal's entries tell it, and the page about it. Writes only to *to. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "ctl/entry.h"
#include "ctl/open_sessions.h"
#include "ctl/slots.h"
#include "ctl/tally.h"

/* At least one more than there are bounds in metrics_events.h. */
#define REPORT_BUCKETS 12

/* Only the last ones are listed. */
#define REPORT_CUTS 100

/* A session that an administrator has ended. Texts are owned. */
struct report_cut {
	uint64_t time_us;
	char *session, *user, *client, *by, *reason;
};

struct report {
	uint64_t since_us; /* 0: the first entry */
	uint64_t until_us;
	struct slots slots;
	size_t at;        /* the slot of the last entry */
	uint64_t last_us; /* of the last entry, also before since_us */
	char *boot;       /* owned; its id; NULL: there was no entry */
	struct open_sessions open;
	bool inside; /* an entry from since_us or later has come */
	bool empty; /* since then no entry has come; at the end: and no session was open */

	uint64_t begun, ended, not_opened, open_at_begin, open_at_end, cuts_made;
	uint64_t ms;       /* of all sessions, in the span */
	uint64_t up, down; /* of those that have ended in it, as are the next three */
	uint64_t durations[REPORT_BUCKETS], ups[REPORT_BUCKETS], downs[REPORT_BUCKETS];
	struct tally users, clients;
	struct tally ends, refusals, failures; /* texts: label, tab, sentence */
	struct report_cut cuts[REPORT_CUTS]; /* a ring; cuts_made % REPORT_CUTS is next */
};

void report_init(struct report *ret, uint64_t since_us, uint64_t until_us);

/* In order of time; those from after the span do not count. The entries from before the span have to come as well, for sessions that were open when it began. */
void report_add(struct report *r, const struct entry *e);

/*
 * No more entries come. is_open() tells of each session that has no end if it can still be open; NULL: all can.
 */
void report_end(struct report *r,
		bool (*is_open)(void *userdata, const struct open_session *s),
		void *userdata);

/* Writes the page, as HTML. Its times are local; host is the name of the machine. */
void report_write(const struct report *r, const char *host, FILE *to);
void report_done(struct report *r);
