/* SPDX-License-Identifier: MIT */
/*
 * Where entries go: to the journal (through libsystemd, loaded when the first one is due)
 * where standard error is the journal, else to standard error. The only file that knows
 * libsystemd, and the only one with mutable globals.
 */
#ifndef NOVNC_GATE_JOURNAL_H
#define NOVNC_GATE_JOURNAL_H

#include <sys/uio.h>

#include "buf.h"

/* All borrowed; no value has a line end. */
struct journal_entry {
	int level;                 /* of syslog(3) */
	struct slice message;      /* what MESSAGE= says, for standard error */
	const struct iovec *field; /* NAME=value each */
	int fields;
	struct slice datagram; /* the same with a line end behind each */
};

/* Sets the threshold (Level=, LOG_ERR to LOG_DEBUG of syslog(3)); before it is notice. */
void journal_level(int level);

/* Whether entries of that level are wanted. */
bool journal_takes(int level);

/*
 * Never fails: a log that cannot be written costs no connection. For one that is not read a
 * connection waits 200 ms, once; then what the journal has no room for is a line on standard
 * error, and what that has no room for is lost.
 */
void journal_write(const struct journal_entry *e);

/* Tells systemd about this connection, where it listens: sd_notify(3). */
void journal_notify(const char *state);

/* Whether libsystemd may be wanted at all: the journal listens, or systemd for the status. */
bool journal_loads(void);

/*
 * Lets go of libsystemd and, where it is not one that stays (Debian 13's), of the memory it
 * holds; it leaves its socket behind. From here on entries need nothing but to send on
 * descriptors that are open, for sandbox_narrow().
 */
void journal_settle(void);

/* After the last entry: closes our socket once the journal has read it, or after 200 ms. */
void journal_release(void);

/*
 * The id by which a person finds this connection's entries: $INVOCATION_ID, or
 * "novnc-gate[PID]" outside of systemd. Borrowed, and the same at each call.
 */
const char *journal_id(void);

#endif
