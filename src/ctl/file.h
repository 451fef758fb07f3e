/* SPDX-License-Identifier: MIT */
/* Files that are written as a whole. */
#pragma once

#include <sys/types.h>

#include "base/buf.h"

/*
 * Replaces that file of the directory, or makes it with this mode, less the umask. It becomes visible as a whole,
 * also after a power failure. Returns 0 or -errno, after which the old file is there.
 */
int file_replace(int directory, const char *name, mode_t mode, struct slice content);

/*
 * Writes a file as the shell's > does, with its checks, such as fs.protected_symlinks; but a regular file is
 * replaced as a whole, with the mode and, if the caller may, the owner of the old one. Returns 0 or -errno.
 */
int file_put(const char *path, struct slice content);

/* Writes all of it. Returns 0 or -errno. */
int file_write(int fd, struct slice content);
