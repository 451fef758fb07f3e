/* SPDX-License-Identifier: MIT */
/* Reads a configuration file and its drop-ins from the file system. */
#pragma once

#include <stddef.h>

/* The longest file, in bytes. */
#define CONFIG_FILE_MAX 65536

enum config_file_result {
	CONFIG_FILE_OK,
	CONFIG_FILE_TOO_LARGE,   /* over CONFIG_FILE_MAX */
	CONFIG_FILE_NOT_REGULAR, /* such as a FIFO or a directory */
	CONFIG_FILE_FAILED,      /* a system call failed: see error */
};

/* One file, or the drop-in directory if it exists but cannot be read. */
struct config_file {
	const char *path;
	enum config_file_result result;
	int error;        /* CONFIG_FILE_FAILED: an -errno */
	const char *text; /* CONFIG_FILE_OK: valid in the callback only */
	size_t len;
};

typedef void (*config_file_callback)(void *userdata, const struct config_file *file);

/*
 * Reads a file, then each *.conf in its drop-in directory (FILE.d) in bytewise order of name, and calls
 * the callback for each. /dev/null is an empty file. A missing directory is no error.
 */
void config_file_read(const char *file, config_file_callback callback, void *userdata);
