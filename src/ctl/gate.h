/* SPDX-License-Identifier: MIT */
/* Runs `novnc-gate --check=report`, and reads what it prints. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "ctl/ctl.h"

struct gate_result {
	enum gate_level {
		GATE_GOOD,
		GATE_NOTE,
		GATE_WARNING,
		GATE_ERROR,
		GATE_LEVELS
	} level;
	char *subject, *text, *hint; /* owned; hint "": nothing to do */
};

struct gate_report {
	struct gate_result *result; /* owned */
	size_t n;
	char *settings; /* owned: the whole configuration and the routing; "": not known */
	char *certificate; /* owned: the hosts that it names; NULL: no certificate */
	int64_t certificate_until; /* its last second, since 1970 */
	int code;                  /* the exit code of novnc-gate(8) */
};

/* "good", "note" and so on */
extern const char *const gate_level_names[GATE_LEVELS];

/* Exit codes of `novnc-gate --check`. */
#define GATE_NOT_READY 1  /* a backend or the certificate is not fine */
#define GATE_INVALID   78 /* EX_CONFIG: the configuration is invalid */

/* The configuration of --config=, or that of the service. *room has PATH_MAX bytes. */
const char *gate_config(const struct ctl *o, char *room);

/* The extent of a check: all, or only the certificate. */
#define GATE_CHECK_ALL         "--check=report"
#define GATE_CHECK_CERTIFICATE "--check=certificate"

/*
 * Runs the check, with the certificate if this user may read it. Returns 0; or -errno, if the program cannot be
 * run. The caller calls gate_report_done() in any case.
 */
int gate_check(const struct ctl *o, const char *what, struct gate_report *ret);

/* Appends a result; takes over nothing. */
void gate_report_add(struct gate_report *r, enum gate_level level, const char *subject,
		     const char *text, const char *hint);

/* Reads the output of the check; lines that it does not know are left out. */
void gate_report_parse(const char *output, struct gate_report *ret);
void gate_report_done(struct gate_report *r);

/*
 * The path of the program novnc-gate, in *room of PATH_MAX bytes: beside this one; with --user, that of the user's
 * service, if there is one. Returns 0 or -errno.
 */
int gate_program(const struct ctl *o, char *room);

/* Appends a path to the directory of this program, in *room of PATH_MAX bytes. Returns 0 or -errno. */
int gate_path(const char *relative, char *room);

/*
 * In gate_print.c: the report as text, without the configuration; and as JSON, for which the caller calls
 * json_decref().
 */
void gate_report_write(const struct gate_report *r);
json_t *gate_report_json(const struct gate_report *r, bool with_settings);

/* Prints the report as the options want it. */
void gate_report_print(const struct ctl *o, const struct gate_report *r);
