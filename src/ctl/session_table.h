/* SPDX-License-Identifier: MIT */
/* The table of sessions that list and drain print. */
#pragma once

#include "ctl/sessions.h"
#include "ctl/table.h"

/* Makes it, the oldest session first. The caller calls table_done(). */
void session_table(const struct sessions *s, struct table *ret);
