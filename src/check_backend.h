/* SPDX-License-Identifier: MIT */
/* `--check`: whether a backend answers HTTP, and what comes instead. */
#ifndef NOVNC_GATE_CHECK_BACKEND_H
#define NOVNC_GATE_CHECK_BACKEND_H

#include "config/config.h"

/*
 * Asks the backend for a page, in the time that the configuration gives it, and prints what came
 * of it. 0 where that is an HTTP answer, of whatever status; else -errno, -ELOOP where the
 * gate itself has answered.
 */
int check_backend(const struct config *cfg, enum config_backend which);

#endif
