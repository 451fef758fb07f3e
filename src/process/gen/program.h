/* SPDX-License-Identifier: MIT */
/* Makes seccomp programs from rules; used by filters.c, which make runs. */
#pragma once

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRAM_MAX   256  /* instructions: a jump leads over at most 255 */
#define PROGRAM_CALLS 2048 /* higher than the number of any system call */
#define PROGRAM_RULES 256  /* of all calls together */
#define PROGRAM_TESTS 3    /* of one rule */

/* Holds if (word & mask) == value for the 32-bit word at the offset in struct seccomp_data. */
struct program_test {
	uint32_t offset, mask, value; /* mask 0: no test */
};

/* The action (SECCOMP_RET_*) for a system call if all tests hold. */
struct program_rule {
	uint32_t call, action;
	struct program_test test[PROGRAM_TESTS]; /* a mask of 0 ends them */
};

/*
 * The first rule for a call whose tests hold gives the action. Without such a rule it is
 * `otherwise`, or `newer` for a call whose number is `first_unknown` or higher. For calls of another
 * architecture than `arch` (AUDIT_ARCH_*) it is `otherwise`.
 */
struct program_rules {
	struct program_rule rule[PROGRAM_RULES];
	size_t n_rules;
	uint32_t arch, first_unknown;
	uint32_t otherwise, newer;
};

/*
 * Makes the program for these rules. Returns its length; exits if it is too long.
 *
 * The program is short and searches the number of the call in a tree, because each process pays
 * for its length and for its searches: when it is installed, the kernel compiles all instructions and runs
 * them with each number once, to find the calls that are allowed whatever their arguments are.
 */
size_t program_make(const struct program_rules *r,
		    struct sock_filter ret[static PROGRAM_MAX]);
