/* SPDX-License-Identifier: MIT */
/*
 * Counters that only grow, and what else has to be known from one call to the next: the place in the journal
 * up to which entries are counted. They are kept in a file, as JSON.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

struct counters {
	json_t *root;  /* owned */
	int directory; /* owned, locked; -1: none */
};

/* The directory of the file: StateDirectory= of the unit, or the same for others. Borrowed. */
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

/* Adds by how much a counter of somebody else's has grown since the last call; it may have begun again at 0. */
void counters_follow(struct counters *c, const char *key, uint64_t value);

/* Those others begin again at 0, whatever they have been. */
void counters_follow_anew(struct counters *c);

/* Other texts; NULL: none. A text of NULL removes it. */
const char *counters_text(const struct counters *c, const char *name);
void counters_set_text(struct counters *c, const char *name, const char *text);

/* When something has begun that is not yet complete, in microseconds since 1970; 0: not known. */
void counters_begin(struct counters *c, const char *id, uint64_t time_us);
uint64_t counters_end(struct counters *c, const char *id);

/* Forgets what has begun before that time. */
void counters_forget(struct counters *c, uint64_t before_us);
