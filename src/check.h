/* SPDX-License-Identifier: MIT */
/* `--check`: checks the configuration and the backends, and prints the routes. */
#pragma once

#include <stdbool.h>

struct check {
	const char *file;
	bool is_default_file; /* the file of the service, whose user must be able to read it */
	bool tls; /* check section [Tls] as well, as for a gate started with --tls */
	bool proxy_protocol; /* as for a gate started with --proxy-protocol */
	bool report;         /* for novnc-gatectl: check_say.h */
	bool whole; /* print the routes and contact the backends; else check files only */
};

/* In order of severity. */
enum check_result {
	CHECK_GOOD,
	CHECK_NOT_READY, /* a backend fails check_backend(), or the gate's certificate is not valid now */
	CHECK_INVALID,  /* the configuration, or a file that it names, cannot be used */
	CHECK_NOT_DONE, /* not carried out, for example because fork() failed */
};

/*
 * Prints errors and warnings to standard error; the configuration, the routes and the results for
 * the backends to standard output. Run as root, it checks as the user who serves the connections.
 * Credentials are the exception: it checks them as root, and only if $CREDENTIALS_DIRECTORY is set.
 * Without c->whole, a certificate that is not valid now is only a warning.
 */
enum check_result check_run(const struct check *c);
