/* SPDX-License-Identifier: MIT */
/*
 * Spreads the exits of many processes over time. The kernel frees the seccomp programs of
 * processes one after the other; when thousands of processes exit at one moment, some kernels
 * lock up (novnc-gate(8), MANY SESSIONS).
 */
#pragma once

#include <stdint.h>

/*
 * Returns for how many milliseconds to wait before the exit, so that `processes` processes that end
 * together exit at a rate that is safe on every kernel; 0 if they are few. `random` is a number
 * that differs from process to process.
 */
uint64_t spread_delay_ms(uint64_t processes, uint64_t random);

/*
 * Returns that delay for this process. fd is pids.current of a control group, the number of
 * processes; if it is -1 or cannot be read, the highest number is assumed.
 */
uint64_t spread_exit_delay_ms(int fd);
