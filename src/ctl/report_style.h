/* SPDX-License-Identifier: MIT */
/* How the page looks. */
#pragma once

extern const char report_style[];

/* Content-Security-Policy: the page loads nothing and runs nothing; this is the SHA-256 of report_style. */
extern const char report_policy[];
