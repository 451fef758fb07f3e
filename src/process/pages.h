/* SPDX-License-Identifier: MIT */
/*
 * Gives memory back to the kernel that an idle tunnel does not need. It reads as zeros until it is
 * written to again.
 */
#pragma once

#include <stddef.h>

/* Gives back the whole pages in that block; where that fails they stay. */
void pages_release(void *p, size_t len);

/* Gives back the pages of the stack below the caller: deeper calls have used them before. */
void pages_release_stack(void);
