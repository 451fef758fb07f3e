/* SPDX-License-Identifier: MIT */
/* novnc-gatectl: its options, and its commands, each in a file of its own. See novnc-gatectl(1). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Exit codes beyond 0 and 1, those of systemctl(1). */
#define CTL_NOT_ACTIVE 3 /* status: no socket listens, or the session is ending */
#define CTL_NO_SUCH \
	4 /* status, disconnect: no such session; status, drain, metrics: no such unit */

enum ctl_json {
	CTL_JSON_OFF, /* tables and sentences for people */
	CTL_JSON_SHORT,
	CTL_JSON_PRETTY,
};

struct ctl {
	enum ctl_json json;  /* --json= */
	bool user;           /* --user: the service manager of the caller */
	bool legend;         /* not --no-legend: header and footer of tables */
	bool pager;          /* not --no-pager */
	bool full;           /* --full: nothing is shortened */
	bool all;            /* --all */
	bool verbose;        /* --verbose */
	bool no_block;       /* --no-block */
	bool http;           /* --http */
	unsigned lines;      /* --lines=, of the journal */
	uint64_t watch_ms;   /* --watch=; 0: once */
	uint64_t timeout_ms; /* --timeout=, or CLOCK_INFINITY */
	const char *reason;  /* --reason=, or NULL */
	const char *session; /* --session=, or NULL */
	const char *cookie;  /* --cookie=, or NULL */
	const char *config;  /* --config=, or NULL: the service's */
	const char *since;   /* --since=, or NULL */
	const char *until;   /* --until=, or NULL */
	const char *output;  /* --output=, or NULL */
};

/*
 * The commands. args are the words behind the command, with NULL at the end. Each prints its results
 * to standard output and errors to standard error, and returns the exit code.
 */
int ctl_list(const struct ctl *o, char *args[]);
int ctl_disconnect(const struct ctl *o, char *args[]);
int ctl_check(const struct ctl *o, char *args[]);
int ctl_status(const struct ctl *o, char *args[]);
int ctl_drain(const struct ctl *o, char *args[]);
int ctl_metrics(const struct ctl *o, char *args[]);
int ctl_report(const struct ctl *o, char *args[]);
