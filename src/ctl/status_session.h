/* SPDX-License-Identifier: MIT */
/* `novnc-gatectl status SESSION`. */
#pragma once

#include "ctl/ctl.h"

/* Prints the sessions that the words name. Returns the exit code. */
int status_sessions(const struct ctl *o, char *words[]);
