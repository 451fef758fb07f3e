/* SPDX-License-Identifier: MIT */
/*
 * Exits that would fall together are spread over time. The kernel frees a process's seccomp
 * programs one after the other; where thousands of processes exit at one moment, some kernels
 * come to a standstill over it (novnc-gate(8), MANY SESSIONS).
 */
#ifndef NOVNC_GATE_SPREAD_H
#define NOVNC_GATE_SPREAD_H

#include <stdint.h>

/*
 * Opens the file that says how many processes there are, a control group's pids.current.
 * Returns its descriptor, which is the caller's, or -errno. To be called before the sandbox
 * is entered.
 */
int spread_open(const char *file);

/*
 * How long to wait before the exit, in milliseconds, so that `processes` of them that end
 * together exit at a rate that every kernel stands; 0 where they are few. random is any
 * number; each process has one of its own.
 */
uint64_t spread_delay_ms(uint64_t processes, uint64_t random);

/*
 * Waits that long. fd is what spread_open() returned; where that failed, as many processes
 * are assumed as the units admit. By now the process has closed all else, so nobody waits
 * for it; SIGTERM does not shorten the wait.
 */
void spread_wait(int fd);

#endif
