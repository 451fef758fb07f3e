/* SPDX-License-Identifier: MIT */
/* As whom `--check` looks. */
#ifndef NOVNC_GATE_CHECK_USER_H
#define NOVNC_GATE_CHECK_USER_H

#include <stdbool.h>

/*
 * Calls look(userdata), which returns 0 or -errno, and returns that. Where this process is
 * root's, in a process of its own that is the user's who serves the connections; where there is no
 * such user, as root, and with tell that is said on standard output.
 */
int check_as_user(int (*look)(void *userdata), void *userdata, bool tell);

#endif
