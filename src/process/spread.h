/* SPDX-License-Identifier: MIT */
/*
 * Spreads the exits of many processes over time. The kernel frees the seccomp programs of
 * processes one after the other; when thousands of processes exit at one moment, some kernels
 * come to a standstill (novnc-gate(8), MANY SESSIONS).
 */
#pragma once

#include <stdint.h>

/*
 * Opens the file with the number of processes, pids.current of a control group, before the
 * sandbox is entered. Returns its descriptor, which the caller closes, or -errno.
 */
int spread_open(const char *file);

/*
 * Returns for how many milliseconds to wait before the exit, so that `processes` of them that end
 * together exit at a rate that is safe on every kernel; 0 where they are few. `random` is a number
 * that differs from process to process.
 */
uint64_t spread_delay_ms(uint64_t processes, uint64_t random);

/*
 * Waits for that time, counted from since_ms of clock_ms(). fd is what spread_open() has
 * returned; after an error it assumes as many processes as the units admit. The process has
 * closed everything else before, so that nobody waits for it; SIGTERM does not shorten the wait.
 */
void spread_wait(int fd, uint64_t since_ms);
