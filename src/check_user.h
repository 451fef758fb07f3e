/* SPDX-License-Identifier: MIT */
/* Runs a check as the user who serves the connections: root may read and reach more. */
#pragma once

#include <stdbool.h>

/*
 * Calls run(userdata), which returns a number from 0 (good) to 254, and sets *ret to it. A
 * process of root calls it in a child that has become the service's user. If there is no such
 * user, root calls it itself; with tell, standard output then says so. Returns 0, or -errno if
 * the child failed.
 */
int check_as_user(int (*run)(void *userdata), void *userdata, bool tell, int *ret);
