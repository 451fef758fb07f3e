/* SPDX-License-Identifier: MIT */
/*
 * Counters that only grow, and what else has to be known from one call to the next: the place in the journal
 * up to which entries are counted. They are kept in a file, as JSON.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct counters {
	json_t *root;      /* owned */
	json_t *last;      /* owned: what counters_follow() has seen the last time */
	uint64_t saved_us; /* when the file was written; 0: there was none */
	int directory;     /* owned; -1: none */
	int lock;          /* owned, locked; -1: none */
};

/* The directory of the file: what StateDirectory= of the unit has set, or else the same one. Borrowed. */
const char *counters_directory(void);

/*
 * Reads the file in that directory, which it makes if it is missing, and locks it: a second caller waits.
 * A file that cannot be read as JSON is replaced, with a warning on standard error. Returns 0 or -errno.
 */
int counters_open(const char *directory, struct counters *ret);

/* Replaces the file as a whole. Returns 0 or -errno. */
int counters_save(const struct counters *c);
void counters_done(struct counters *c);

/* key: the name of the metric with its labels, as it is printed. */
void counters_add(struct counters *c, const char *key, uint64_t n);
uint64_t counters_get(const struct counters *c, const char *key);

/*
 * Before the calls of counters_follow() for all that is followed: what they do not name begins at 0 when it comes
 * again. anew: everything has begun at 0 since the last time, as after a restart of the machine.
 */
void counters_follow_begin(struct counters *c, bool anew);

/* Adds by how much this source's own counter has grown since the last time, also if it has begun at 0 again. */
void counters_follow(struct counters *c, const char *key, const char *source,
		     uint64_t value);

/* Texts that are kept in the same file; NULL: there is none. Setting it to NULL removes it. */
const char *counters_text(const struct counters *c, const char *name);
void counters_set_text(struct counters *c, const char *name, const char *text);

/* Keeps the time at which something with this id has begun, in microseconds since 1970, until it ends. */
void counters_begin(struct counters *c, const char *id, uint64_t time_us);

/* Returns that time, and forgets it; 0: it is not known. */
uint64_t counters_end(struct counters *c, const char *id);

/* Forgets all that has begun before that time. */
void counters_forget(struct counters *c, uint64_t before_us);
