/* SPDX-License-Identifier: MIT */
/* The terminal, as other programs of systemd treat it: width, colour, pager. */
#pragma once

#include <stdbool.h>

/* The width, in columns, from $COLUMNS or the terminal; 0: standard output is no terminal. */
unsigned terminal_columns(void);
unsigned terminal_rows(void);

/* Standard output is a terminal, and neither $NO_COLOR, $SYSTEMD_COLORS nor $TERM forbids colour. */
bool terminal_has_colour(void);

/* Sends standard output through $SYSTEMD_PAGER, $PAGER or less(1) if it is a terminal, and this is wanted. */
void terminal_pager_open(bool wanted);

/* Waits until the pager has ended. Returns false if there is none. */
bool terminal_pager_close(void);
