/* SPDX-License-Identifier: MIT */
/* `--check`: is the configuration right, are the backends there, what would be done. */
#ifndef NOVNC_GATE_CHECK_H
#define NOVNC_GATE_CHECK_H

#include <stdbool.h>

struct check {
	const char *file;
	bool installed; /* the file is the service's own, whose user has to read it */
	bool tls;       /* a client is to speak TLS: section [Tls] as well */
	bool whole; /* what would be done, and the backends; else the configuration only */
};

/*
 * Prints each error of the file to standard error, and of the files that it names for TLS;
 * credentials only where this process has been shown some. Then, with whole, what the gate
 * would do, and whether the backends answer. As root it looks as the user who serves the
 * connections, but for credentials. 0; 1 where the configuration is right, but a backend does not
 * answer or the gate's own certificate is not valid now, which without whole is only said;
 * -EBADMSG where it is broken; another error where that could not be checked.
 */
int check_run(const struct check *c);

#endif
