/* SPDX-License-Identifier: MIT */
/*
 * Writes entries to the journal if standard error is connected to it, else to standard error. The
 * only file with mutable globals.
 *
 * It sends datagrams in the documented and stable formats of the journal and of systemd:
 * https://systemd.io/JOURNAL_NATIVE_PROTOCOL/, sd_notify(3). Loading libsystemd took three times as
 * long as all else that the process does. The tests compare our datagrams with those of libsystemd.
 */
#pragma once

#include "base/buf.h"

/* The longest datagram. */
#define JOURNAL_ENTRY_MAX 11264

/* All text is borrowed. */
struct journal_entry {
	int level;             /* of syslog(3) */
	struct slice message;  /* points to the value of MESSAGE= in datagram */
	struct slice datagram; /* NAME=value lines; no value has a line end */
};

/* Sets the threshold (Level=, LOG_ERR to LOG_DEBUG of syslog(3)). Until then it is LOG_NOTICE. */
void journal_set_level(int level);

/* Returns true if entries of that level are written. */
bool journal_enabled(int level);

/*
 * Finds where entries go and opens the sockets. Call it before sandbox_enter(), after which opening
 * them may be forbidden. No entry is written before it. Once entries have a place to go, a second
 * call does nothing. The caller must call journal_close().
 */
void journal_open(void);

/*
 * Writes an entry. Never fails, since a full log must not end a connection. An entry for which the
 * journal has no room is kept; the next journal_write(), journal_flush() or journal_wait() sends it.
 * If too many are kept, or the journal does not listen, the entry becomes a line on standard error.
 * If standard error has no room, it waits up to 200 ms; then the line is lost, and later lines do
 * not wait.
 */
void journal_write(const struct journal_entry *e);

/* Sends the entries that are kept, if there is room now. Returns true if none is left. */
bool journal_flush(void);

/* Returns true if systemd listens to the state of this process. */
bool journal_has_manager(void);

/*
 * Sends systemd the state of this process (STATUS=...), if systemd listens. Never waits: if systemd has no room,
 * as when many sessions open at the same time, it is kept and sent like an entry.
 */
void journal_notify(struct slice state);

/*
 * Sends the entries that are kept. It waits up to room_ms for room, since thousands of connections
 * that end together fill the journal's queue. Then it closes the socket to systemd. Returns true if
 * no entry is left.
 */
bool journal_wait(uint64_t room_ms);

/*
 * Writes the entries that are still kept to standard error, waits up to 200 ms until the journal
 * has read all that were sent, and closes the sockets.
 */
void journal_close(void);

/*
 * Returns the id by which people find the entries of this connection: $INVOCATION_ID, or
 * "novnc-gate[PID]" outside of systemd. Borrowed, and the same at each call.
 */
const char *journal_id(void);
