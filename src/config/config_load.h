/* SPDX-License-Identifier: MIT */
/* Reads novnc-gate.conf(5) and its drop-ins into struct config, and reports errors by line. */
#pragma once

#include "config/config.h"

/* At most so many errors are reported. */
#define CONFIG_REPORTS_MAX 20

/* In order of severity. */
enum config_result {
	CONFIG_OK,
	CONFIG_INVALID,          /* a file has to be edited, or cannot be read */
	CONFIG_OUT_OF_RESOURCES, /* no memory or no descriptors: the files may be right */
};

/*
 * Called for each error: the file, the line (0: the file as a whole) and one sentence, which
 * lists the allowed values.
 */
typedef void (*config_report)(void *userdata, const char *file, unsigned line,
			      const char *what);

/* Sets each member to its default; allocates nothing. */
void config_init(struct config *ret);

/*
 * Sets the defaults, then reads file and file.d/ *.conf in order of name. A missing file.d is
 * no error, a missing file is. Reads on after an error, so that all errors are reported;
 * a wrong line is ignored. *ret is usable whatever the result, and wants config_done().
 */
enum config_result config_load(const char *file, config_report report, void *userdata,
			       struct config *ret);

/* Reads a text on top of *c, as one more file; `file` is its name in reports. */
enum config_result config_parse_text(const char *file, const char *text, size_t len,
				     config_report report, void *userdata,
				     struct config *c);

/* Frees the texts and lists; lists are the defaults again, other strings are invalid. */
void config_done(struct config *c);
