/* SPDX-License-Identifier: MIT */
/* The files of a configuration: one and its drop-ins, each read whole. */
#ifndef NOVNC_GATE_CONFIG_FILE_H
#define NOVNC_GATE_CONFIG_FILE_H

#include <stddef.h>

/* The longest file, in bytes. */
#define CONFIG_FILE_MAX 65536

/*
 * Told of each file: its text, which is gone afterwards, or an -errno. -EFBIG: it is larger
 * than CONFIG_FILE_MAX; -ENXIO, as open(2) says of a socket: it is no regular file.
 */
typedef void (*config_file_take)(void *userdata, const char *file, const char *text,
				 size_t len, int error);

/*
 * Reads file and then file.d/ *.conf in bytewise order of name; tells of each, and of file.d
 * where it is there but cannot be read. /dev/null is an empty file.
 */
void config_file_read(const char *file, config_file_take take, void *userdata);

#endif
