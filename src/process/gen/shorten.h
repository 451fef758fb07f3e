/* SPDX-License-Identifier: MIT */
/* Part of filters.c's program: seccomp filters that take the kernel less time. */
#ifndef NOVNC_GATE_SHORTEN_H
#define NOVNC_GATE_SHORTEN_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#define CALLS_MAX 2048 /* beyond any architecture's highest number */

/*
 * Shortens a program of libseccomp's for arch (AUDIT_ARCH_*, linux/audit.h) in place. It
 * decides as before: each call is tried out with all values that either program compares with,
 * and some beside them. Returns its length.
 *
 * A process pays for its filter when it installs it: the kernel walks it for every number a
 * call may have, to know those that need no look at it later, and compiles it to machine code.
 * So here numbers are searched in a tree that is the flattest where most numbers are, and what
 * libseccomp compares in vain (the upper halves of arguments of which the lower count) is left
 * out.
 */
size_t shorten(struct sock_filter program[], size_t len, uint32_t arch);

#endif
