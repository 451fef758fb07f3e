/* SPDX-License-Identifier: MIT */
/* As whom `--check` looks. */
#ifndef NOVNC_GATE_CHECK_USER_H
#define NOVNC_GATE_CHECK_USER_H

#include <stdbool.h>

/*
 * Calls look(userdata), which returns 0 or -errno: *ret. Where this process is root's, a child
 * that has become the user who serves the connections calls it; where there is no such user,
 * root does, and with tell that is said on standard output. 0, or -errno where it could not
 * look, or not say what it saw.
 */
int check_as_user(int (*look)(void *userdata), void *userdata, bool tell, int *ret);

#endif
