/* SPDX-License-Identifier: MIT */
#include "check_user.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/loader.h"

#define CHECK_USER   "novnc-gate"
/* The exit status of a child that could not check, or not print its results. */
#define CHILD_FAILED 255

/* Runs in the child, and ends it; its exit status is the result. */
static void run_as_user(int (*run)(void *userdata), void *userdata)
{
	int r = loader_become(CHECK_USER);

	if (r < 0) {
		(void)fprintf(stderr,
			      "novnc-gate: cannot switch to user " CHECK_USER ": %s\n",
			      strerror(-r));
		_exit(CHILD_FAILED);
	}
	r = run(userdata);
	_exit(fflush(stdout) != 0 ? CHILD_FAILED : r);
}

/* Waits for the child. Returns 0 with its result, or -errno. */
static int child_result(pid_t pid, int *ret)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (!WIFEXITED(status) || WEXITSTATUS(status) == CHILD_FAILED)
		return -ECHILD;
	*ret = WEXITSTATUS(status);
	return 0;
}

static int run_in_child(int (*run)(void *userdata), void *userdata, int *ret)
{
	pid_t pid;
	int r;

	(void)fflush(stdout); /* else both processes would write what is buffered */
	pid = fork();
	if (pid < 0) {
		r = -errno;
		(void)fprintf(stderr, "novnc-gate: fork: %s\n", strerror(-r));
		return r;
	}
	if (pid == 0)
		run_as_user(run, userdata);
	r = child_result(pid, ret);
	if (r == 0 && *ret != 0)
		(void)fprintf(stderr, "novnc-gate: checked as user " CHECK_USER
				      ", which serves the connections\n");
	return r;
}

int check_as_user(int (*run)(void *userdata), void *userdata, bool tell, int *ret)
{
	if (geteuid() == 0 && loader_user_exists(CHECK_USER))
		return run_in_child(run, userdata, ret);
	if (geteuid() == 0 && tell)
		(void)printf("There is no user " CHECK_USER
			     ". Checking as root, which may read and reach more.\n");
	*ret = run(userdata);
	return 0;
}
