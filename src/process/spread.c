/* SPDX-License-Identifier: MIT */
#include "process/spread.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

/* Up to this number, all processes may exit at one moment. */
#define SPREAD_FEW  100
/* For more than this number, the delays do not get longer. */
#define SPREAD_MOST 11250
/*
 * Of seccomp programs that are freed per second. Linux 6.12 locked up, in an emulator, when 2,000
 * were freed in a second (novnc-gate(8), MANY SESSIONS).
 */
#define SPREAD_RATE 250

/* The longest delay, of a process with two programs. */
#define SPREAD_MAX_MS (SPREAD_MOST * 2 * 1000 / SPREAD_RATE)
_Static_assert(SPREAD_MAX_MS < SPREAD_END_MAX_MS, "leaves time for the journal");

uint64_t spread_delay_ms(uint64_t processes, unsigned programs, uint64_t random)
{
	if (processes <= SPREAD_FEW)
		return 0;
	if (processes > SPREAD_MOST)
		processes = SPREAD_MOST;
	return 1 + random % (processes * programs * 1000 / SPREAD_RATE);
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

uint64_t spread_exit_delay_ms(int fd, unsigned programs)
{
	return spread_delay_ms(processes(fd), programs, random_number());
}
