/* SPDX-License-Identifier: MIT */
/* Configurations from text, which is a file in memory. */
#pragma once

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/config_load.h"

/* As config_load() of a file with these bytes. */
static inline enum config_result config_from(const char *text, size_t len,
					     config_report report, void *userdata,
					     struct config *ret)
{
	int fd = memfd_create("config", MFD_CLOEXEC);
	enum config_result r;
	char path[40];

	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = config_load(path, report, userdata, ret);
	close(fd);
	return r;
}

static inline void config_abort(void *userdata, const char *error)
{
	(void)userdata;
	ck_abort_msg("%s", error);
}

/* From text that must be good. */
static inline void config_good(const char *text, struct config *ret)
{
	(void)config_from(text, strlen(text), config_abort, NULL, ret);
}
