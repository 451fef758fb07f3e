/* SPDX-License-Identifier: MIT */
/*
 * Gives memory that an idle tunnel does not need back to the kernel. That memory reads as zeros
 * until it is written to again.
 */
#pragma once

#include <stddef.h>

/* Gives back the pages that lie wholly in that block; if that fails, they stay. */
void pages_release(void *p, size_t len);

/* Gives back the pages of the stack below the caller, which earlier, deeper calls have used. */
void pages_release_stack(void);
