/* SPDX-License-Identifier: MIT */
/* Reads novnc-gate.conf(5) and its drop-ins into struct config, and reports errors by line. */
#pragma once

#include "config/config.h"

/* At most this many reports; the last one says that there are more errors. */
#define CONFIG_REPORTS_MAX 20

/* In order of severity. */
enum config_result {
	CONFIG_OK,
	CONFIG_INVALID,          /* a file has to be edited, or cannot be read */
	CONFIG_OUT_OF_RESOURCES, /* no memory or no descriptors: the files may be right */
};

/*
 * Called for each error: "FILE:LINE: ", or "FILE: " for the file as a whole, and one sentence,
 * which for an invalid value lists the allowed ones.
 */
typedef void (*config_report)(void *userdata, const char *error);

/* Sets each member to its default; allocates nothing. */
void config_init(struct config *ret);

/*
 * Sets the defaults, then reads file, and each *.conf in the directory file.d in order of name. A
 * missing file.d is no error, a missing file is. Reads on after an error, so that all errors are
 * reported; a wrong line is ignored. Only after a byte that is not text, or a line that is too long,
 * the rest of that file is skipped. *ret is usable whatever the result; the caller must call
 * config_done().
 */
enum config_result config_load(const char *file, config_report report, void *userdata,
			       struct config *ret);

/*
 * Sets ProxyProtocol=yes for --proxy-protocol, after config_load() of that file. Reports an error if
 * TrustedProxies= is empty, unless config_load() has reported it.
 */
enum config_result config_use_proxy_protocol(struct config *c, const char *file,
					     config_report report, void *userdata);

/* Frees all texts and lists. Then lists have their default words; other strings are invalid. */
void config_done(struct config *c);
