/* SPDX-License-Identifier: MIT */
/*
 * What needs the dynamic loader: the modules of nsswitch.conf(5), which look up names of
 * hosts and users, and the module of TLS. To start the loader costs each process as much as
 * all of its own work, and most processes need none of these. So novnc-gate is linked
 * statically and, where there is a name or TLS, re-executes itself as novnc-gate-dynamic,
 * the same program linked dynamically. The one has loader_static.c and the other
 * loader_dynamic.c; nothing else differs.
 */
#ifndef NOVNC_GATE_LOADER_H
#define NOVNC_GATE_LOADER_H

#include <limits.h>
#include <netdb.h>

#include "config/config.h"
#include "tls/tls.h"

#define LOADER_PROGRAM "novnc-gate-dynamic"

/*
 * Makes sure that this is the program with the loader. Returns 0 where it is; else it
 * executes that one, with the same arguments and descriptors, and returns -errno only where
 * that fails.
 */
int loader_need(char *argv[]);

/*
 * Resolves the name of a backend, which cannot be given a deadline: SIGTERM, blocked otherwise,
 * ends the process meanwhile. Returns 0, or the error of getaddrinfo(3); *ret wants
 * loader_resolved().
 */
int loader_resolve(const struct backend *be, struct addrinfo **ret);
void loader_resolved(struct addrinfo *list);

/* Whether there is such a user. */
bool loader_user_exists(const char *name);

/* This process becomes that user's, for good: 0 or -errno. */
int loader_become(const char *name);

/* Loads the module of TLS, from beside the program; it stays. 0, or -ENOENT with *why. */
int loader_tls(const struct tls_module **ret, struct tls_why *why);

/* The path of a file in directory, which is relative to the program's own: 0 or -errno. */
int loader_path(const char *directory, const char *file, char ret[static PATH_MAX]);

#endif
