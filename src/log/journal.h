/* SPDX-License-Identifier: MIT */
/*
 * Where entries go: to the journal, where standard error is connected to it, else to standard
 * error. The only file with mutable globals.
 *
 * The journal's and systemd's interfaces are spoken as they are documented (and promised to
 * stay), one datagram each: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/, sd_notify(3). Loading
 * libsystemd for them cost three times the rest of the process; the tests hold ours against
 * what it sends.
 */
#ifndef NOVNC_GATE_JOURNAL_H
#define NOVNC_GATE_JOURNAL_H

#include <stdbool.h>

#include "base/buf.h"

/* All borrowed. */
struct journal_entry {
	int level;             /* of syslog(3) */
	struct slice message;  /* what MESSAGE= says, for standard error */
	struct slice datagram; /* NAME=value lines; no value has a line end */
};

/* Sets the threshold (Level=, LOG_ERR to LOG_DEBUG of syslog(3)); before it is notice. */
void journal_level(int level);

/* Whether entries of that level are wanted. */
bool journal_takes(int level);

/*
 * Finds out where entries go and opens what they need, so that writing one only sends: a
 * sandbox may follow. Before it there are none. Wants journal_close().
 */
void journal_open(void);

/*
 * Never fails: a log that cannot be written costs no connection. For one that is not read a
 * connection waits 200 ms, once; then what the journal has no room for is a line on standard
 * error, and what that has no room for is lost.
 */
void journal_write(const struct journal_entry *e);

/* Tells systemd about this connection (STATUS=...), where it listens. Never waits. */
void journal_notify(struct slice state);

/* After the last entry: waits until the journal has read it, at most 200 ms. */
void journal_close(void);

/*
 * The id by which a person finds this connection's entries: $INVOCATION_ID, or
 * "novnc-gate[PID]" outside of systemd. Borrowed, and the same at each call.
 */
const char *journal_id(void);

#endif
