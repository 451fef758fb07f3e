/* SPDX-License-Identifier: MIT */
#include "ctl/timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND_US 1000000ULL

uint64_t timestamp_us(struct timespec time)
{
	return (uint64_t)time.tv_sec * SECOND_US + (uint64_t)time.tv_nsec / 1000;
}

uint64_t timestamp_now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t); /* cannot fail */
	return timestamp_us(t);
}

uint64_t timestamp_ago_ms(uint64_t us)
{
	uint64_t now_us = timestamp_now_us();

	return now_us > us ? (now_us - us) / 1000 : 0;
}

/* Reads "   UNIX seconds: @1796034122.042054" from the output. Returns false if it is not there. */
static bool seconds_find(FILE *output, uint64_t *ret_us)
{
	char line[256], fraction[8] = "";
	bool found = false;
	uint64_t s;

	while (fgets(line, sizeof(line), output))
		if (sscanf(line, " UNIX seconds: @%" SCNu64 ".%6[0-9]", &s, fraction) >=
		    1)
			found = true;
	if (!found || s > UINT64_MAX / SECOND_US - 1)
		return false;
	while (strlen(fraction) < 6)
		(void)strcat(fraction, "0");
	*ret_us = s * SECOND_US + strtoull(fraction, NULL, 10);
	return true;
}

/* Starts it with standard output in a pipe. Returns 0 or -errno. */
static int start(const char *text, pid_t *ret, FILE **ret_output)
{
	const char *const arguments[] = { "systemd-analyze", "timestamp", "--", text,
					  NULL };
	posix_spawn_file_actions_t actions;
	int ends[2], r;

	/* SYSTEMD_COLORS=1 would put escape sequences into the output */
	(void)setenv("SYSTEMD_COLORS", "0", true); /* report prints nothing in colour */
	if (pipe(ends) < 0)
		return -errno;
	(void)posix_spawn_file_actions_init(&actions); /* these fail without memory */
	(void)posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	(void)posix_spawn_file_actions_addclose(&actions, ends[0]);
	(void)posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null",
					       O_WRONLY, 0);
	r = posix_spawnp(ret, arguments[0], &actions, NULL, (char **)arguments, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(ends[1]);
	*ret_output = r == 0 ? fdopen(ends[0], "r") : NULL;
	if (!*ret_output)
		(void)close(ends[0]);
	return *ret_output || r != 0 ? -r : -ENOMEM;
}

/*
 * libsystemd has no function that reads times, and their forms depend on the version of systemd. systemd-analyze
 * has the same parser as journalctl, and is always installed with it.
 */
bool timestamp_parse(const char *option, const char *text, uint64_t *ret_us)
{
	FILE *output;
	pid_t child;
	bool found;
	int r = start(text, &child, &output), status;

	if (r < 0) {
		(void)fprintf(stderr, "Cannot run systemd-analyze: %s\n", strerror(-r));
		return false;
	}
	found = seconds_find(output, ret_us);
	(void)fclose(output);
	(void)waitpid(child, &status, 0);
	if (!found)
		(void)fprintf(stderr, "--%s=%s: not a time, see systemd.time(7)\n",
			      option, text);
	return found;
}
