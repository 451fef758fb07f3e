/* SPDX-License-Identifier: MIT */
/* `--check`: is the configuration right, are the backends there, what would be done. */
#ifndef NOVNC_GATE_CHECK_H
#define NOVNC_GATE_CHECK_H

#include <stdbool.h>

#include "config.h"

/*
 * Prints each error of the file to standard error, and of the files that it names for TLS;
 * those of section [Tls] where a client is to speak TLS, credentials only where this
 * process has been shown some. 0 or -EBADMSG.
 */
int check_config(const char *file, bool tls, struct config *ret);

/*
 * Prints what the gate would do with this configuration, and whether the backends accept
 * connections. 0, or the error of the first one that does not.
 */
int check_backends(const struct config *cfg);

#endif
