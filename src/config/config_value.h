/* SPDX-License-Identifier: MIT */
/* The kinds of value that a configuration has: from text, to text, what is allowed. No I/O. */
#ifndef NOVNC_GATE_CONFIG_VALUE_H
#define NOVNC_GATE_CONFIG_VALUE_H

#include "config/config.h"

/* Room for any single value as text. */
#define CONFIG_VALUE_TEXT 320

struct config_kind {
	/* What is allowed, for people. */
	const char *allowed;
	/* Several words, separated by white space; the member is a config_list. */
	bool list;
	/*
	 * Reads one value within min and max into the member at ret; of a list it judges one
	 * word and leaves ret alone. The text must outlive the configuration. Returns NULL,
	 * or what is wrong; then *ret is as it was.
	 */
	const char *(*parse)(const char *text, uint64_t min, uint64_t max, void *ret);
	/* Writes the member as text. Not for lists. */
	void (*format)(const void *value, char ret[static CONFIG_VALUE_TEXT]);
	/* Writes what the bounds add to `allowed`; NULL for a kind that has none. */
	void (*format_bounds)(uint64_t min, uint64_t max,
			      char ret[static CONFIG_VALUE_TEXT]);
};

extern const struct config_kind config_kind_url;        /* struct backend */
extern const struct config_kind config_kind_globs;      /* config_list, of paths */
extern const struct config_kind config_kind_origins;    /* config_list */
extern const struct config_kind config_kind_bytes;      /* size_t */
extern const struct config_kind config_kind_span;       /* uint64_t, milliseconds */
extern const struct config_kind config_kind_level;      /* int, of syslog(3) */
extern const struct config_kind config_kind_bool;       /* bool */
extern const struct config_kind config_kind_file;       /* const char *, NULL: none */
extern const struct config_kind config_kind_credential; /* const char *, never NULL */

#endif
