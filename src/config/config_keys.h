/* SPDX-License-Identifier: MIT */
/* The keys of novnc-gate.conf(5): one row for each. Reading and printing go by this table. */
#pragma once

#include "config/config_value.h"

struct config_key {
	const char *section, *name;
	const struct config_kind *kind; /* NULL: reserved, not implemented yet */
	size_t offset;                  /* of its member in struct config */
	const char *text;               /* the default of a single value, as in a file */
	config_list words;              /* the default of a list */
	uint64_t min, max;              /* bounds, for the parser */
};

/* In the order of sections; ends with a row whose section is NULL. */
extern const struct config_key config_keys[];

/* Prints every section, key and effective value to standard output, as a file. */
void config_print(const struct config *c);
