/* SPDX-License-Identifier: MIT */
/*
 * All that needs the dynamic loader: the modules of nsswitch.conf(5), for names of hosts and
 * users, and the TLS module. Starting the loader costs as much as all else that the process does,
 * and most processes do without. So novnc-gate is linked statically; for a name or TLS it
 * re-executes itself as novnc-gate-dynamic, the same program linked dynamically. The two differ in
 * one file: loader_static.c or loader_dynamic.c.
 */
#pragma once

#include <limits.h>
#include <netdb.h>

#include "config/config.h"
#include "tls/tls.h"

#define LOADER_PROGRAM "novnc-gate-dynamic"

/*
 * Returns 0 in novnc-gate-dynamic. In novnc-gate it executes that program in its place, with the
 * same arguments and descriptors, and returns -errno only if that fails.
 */
int loader_reexec(char *argv[]);

/*
 * Resolves the name of a backend. getaddrinfo(3) takes no deadline, so SIGTERM, which is blocked
 * otherwise, ends the process during this call. Returns 0, or the error of getaddrinfo();
 * the caller frees *ret by loader_free_addresses().
 */
int loader_resolve(const struct backend *be, struct addrinfo **ret);
void loader_free_addresses(struct addrinfo *list);

/* Returns true if the user exists. */
bool loader_user_exists(const char *name);

/* Gives this process the user's ids and groups, for good. Returns 0 or -errno. */
int loader_become(const char *name);

/*
 * Loads the TLS module from the directory of the program; it is never unloaded. Returns 0, or
 * -ENOENT with *why.
 */
int loader_tls(const struct tls_module **ret, struct tls_why *why);

/* Appends `file` to the program's directory; writes that path to ret. Returns 0 or -errno. */
int loader_path(const char *file, char ret[static PATH_MAX]);
