/* SPDX-License-Identifier: MIT */
/* Part of the program that make runs (filters.c): seccomp programs made from rules. */
#ifndef NOVNC_GATE_PROGRAM_H
#define NOVNC_GATE_PROGRAM_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRAM_MAX   256  /* instructions: a jump leads over at most 255 */
#define PROGRAM_CALLS 2048 /* higher than the number of any system call */

/* Holds where a 32-bit word of struct seccomp_data is so: (word & mask) == value. */
struct program_test {
	uint32_t offset, mask, value; /* mask 0: no test */
};

/* One system call, and the action (SECCOMP_RET_*) where all tests hold. */
struct program_rule {
	uint32_t call, action;
	struct program_test test[3]; /* up to the first without a mask */
};

/*
 * Of several rules for one call the first that holds decides.
 * A call without a rule that holds gets `otherwise`, one with a number of `unknown` or higher
 * gets `newer`, one of another architecture than `arch` (AUDIT_ARCH_*) gets `otherwise`.
 */
struct program_rules {
	const struct program_rule *rule;
	size_t rules;
	uint32_t arch, unknown;
	uint32_t otherwise, newer;
};

/*
 * Makes the program that decides so. Returns its length; exits where it would be too long or,
 * tried out, decides otherwise.
 *
 * Each process pays for its program when it installs it: the kernel compiles each instruction,
 * and runs the program once for each number to learn which calls are allowed whatever their
 * arguments. So the program is short, and searches the number in a tree.
 */
size_t program_make(const struct program_rules *r,
		    struct sock_filter ret[static PROGRAM_MAX]);

#endif
