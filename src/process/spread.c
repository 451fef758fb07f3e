/* SPDX-License-Identifier: MIT */
#include "process/spread.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

/* Up to this number, all processes may exit at one moment. */
#define SPREAD_FEW    100
/*
 * If there are more, this many exit per second. Each process has at most two seccomp programs.
 * Linux 6.12 locked up, in an emulator, when 2,000 programs were freed in a second
 * (novnc-gate(8), MANY SESSIONS).
 */
#define SPREAD_RATE   125
/* With ROOM_MS (main.c), three quarters of TimeoutStopSec= in the units. */
#define SPREAD_MAX_MS 90000

uint64_t spread_delay_ms(uint64_t processes, uint64_t random)
{
	if (processes <= SPREAD_FEW)
		return 0;
	if (processes > SPREAD_MAX_MS * SPREAD_RATE / 1000)
		processes = SPREAD_MAX_MS * SPREAD_RATE / 1000;
	return random % (processes * 1000 / SPREAD_RATE + 1);
}

/* Reads the number in pids.current; the highest after an error. */
static uint64_t processes(int fd)
{
	char digits[sizeof("18446744073709551615")];
	ssize_t n = fd < 0 ? -1 : read(fd, digits, sizeof(digits) - 1);

	if (n <= 0)
		return UINT64_MAX;
	digits[n] = '\0';
	return strtoull(digits, NULL, 10);
}

/* The kernel gives each program that it starts 16 random bytes (getauxval(3)). */
static uint64_t random_number(void)
{
	const void *bytes = (const void *)getauxval(AT_RANDOM);
	uint64_t number = 0;

	if (bytes)
		memcpy(&number, bytes, sizeof(number));
	return number;
}

uint64_t spread_exit_delay_ms(int fd)
{
	return spread_delay_ms(processes(fd), random_number());
}
