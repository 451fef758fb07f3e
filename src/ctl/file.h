/* SPDX-License-Identifier: MIT */
/* Files that are written as a whole. */
#pragma once

#include <sys/types.h>

#include "base/buf.h"

/*
 * Replaces that file of the directory, or makes it with this mode, less the umask. It is written under another
 * name and renamed, so that it is never incomplete, also after a power failure. Returns 0 or -errno, after which
 * the old file is there.
 */
int file_replace(int directory, const char *name, mode_t mode, struct slice content);

/* Writes all of it. Returns 0 or -errno. */
int file_write(int fd, struct slice content);
