/* SPDX-License-Identifier: MIT */
/* The tables of the page: who, how sessions ended, what failed, what administrators have ended. */
#pragma once

#include <stdio.h>

#include "ctl/report.h"

void report_tables_write(const struct report *r, FILE *to);
