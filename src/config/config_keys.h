/* SPDX-License-Identifier: MIT */
/*
 * The keys of novnc-gate.conf(5), one row for each, which reading and printing both use; and the
 * kinds of value that they have, each with parser and printer.
 */
#pragma once

#include "config/config.h"

/* Room for any single value as text, in bytes. */
#define CONFIG_VALUE_TEXT 320

struct config_kind {
	const char *allowed; /* the allowed values, for error messages */
	/*
	 * Exactly one of these three is set. It returns NULL on success, else an error text such as
	 * "is not a size", and then leaves *ret unchanged. *ret may point into `text`, which must
	 * outlive the configuration. check_word has no ret.
	 */
	const char *(*parse)(const char *text, void *ret);
	const char *(*parse_number)(const char *text, uint64_t min, uint64_t max,
				    uint64_t *ret);
	const char *(*check_word)(const char *word); /* of a config_list */
	/* Writes the value of the member as text. Not set for lists. */
	void (*format)(const void *value, char ret[static CONFIG_VALUE_TEXT]);
};

/* The comments name the type of the member. */
extern const struct config_kind config_kind_bytes; /* uint64_t */
extern const struct config_kind config_kind_span;  /* uint64_t, milliseconds */
extern const struct config_kind config_kind_level; /* int, of syslog(3) */
extern const struct config_kind config_kind_bool;  /* bool */
extern const struct config_kind
	config_kind_upgrade_errors;                     /* enum config_upgrade_errors */
extern const struct config_kind config_kind_file;       /* const char *, NULL: none */
extern const struct config_kind config_kind_credential; /* const char *, never NULL */

/* The format() of kinds whose member is a const char *; NULL is written as "". */
void config_string_format(const void *value, char ret[static CONFIG_VALUE_TEXT]);

/* In config_url.c. */
extern const struct config_kind config_kind_url;      /* struct backend */
extern const struct config_kind config_kind_globs;    /* config_list, of paths */
extern const struct config_kind config_kind_origins;  /* config_list */
extern const struct config_kind config_kind_networks; /* config_list */
extern const struct config_kind config_kind_target;   /* const char *, NULL: none */

struct config_key {
	const char *section, *name;
	const struct config_kind *kind;
	size_t offset;             /* of its member in struct config */
	const char *default_text;  /* of a single value, as in a file */
	config_list default_words; /* of a list */
	uint64_t min, max;         /* bounds, for the parser */
};

/* Grouped by section; ends with a row whose section is NULL. */
extern const struct config_key config_keys[];

/* The row of that key, or NULL. */
const struct config_key *config_key_find(const char *section, const char *name);

/* Prints each key with its effective value, in the syntax of the file, to stdout. */
void config_print(const struct config *c);
