/* SPDX-License-Identifier: MIT */
/*
 * Spreads the exits of many processes over time. The kernel frees the seccomp programs of
 * processes one after the other; when thousands of processes exit at one moment, some kernels
 * lock up (novnc-gate(8), MANY SESSIONS).
 */
#pragma once

#include <stdint.h>

/*
 * The longest time from the end of a connection to the exit, with the wait for room in the journal:
 * three quarters of TimeoutStopSec= in the units. It is longer than every delay.
 */
#define SPREAD_END_MAX_MS 135000

/*
 * Returns for how many milliseconds to wait before the exit, so that `processes` processes that end
 * together exit at a rate that is safe on every kernel; 0 if they are few, else at least 1.
 * `programs` is the number of seccomp programs of each, 1 or 2; `random` is a number that differs
 * from process to process.
 */
uint64_t spread_delay_ms(uint64_t processes, unsigned programs, uint64_t random);

/*
 * Returns that delay for this process. fd is pids.current of a control group, the number of
 * processes; if it is -1 or cannot be read, the highest number is assumed.
 */
uint64_t spread_exit_delay_ms(int fd, unsigned programs);
