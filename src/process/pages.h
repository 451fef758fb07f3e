/* SPDX-License-Identifier: MIT */
/*
 * Memory that a tunnel used on its way and does not need while it waits goes back to the
 * kernel; it reads as zeros until it is written to again.
 */
#ifndef NOVNC_GATE_PAGES_H
#define NOVNC_GATE_PAGES_H

#include <stddef.h>

/* Gives the whole pages in there back; where that fails they stay. */
void pages_release(void *p, size_t len);

/* Likewise of the stack, what calls that have returned have used of it. */
void pages_release_stack(void);

#endif
