/* SPDX-License-Identifier: MIT */
/* As whom `--check` looks: what root can read and reach, the service's user may not. */
#include "check_user.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/loader.h"

#define CHECK_USER     "novnc-gate"
/* An exit status that is no errno: the child could not look, or not say what it saw. */
#define CHECK_NOT_DONE 255

/* In the child: ends it, with what was found as the exit status. */
static void look_as_user(int (*look)(void *userdata), void *userdata)
{
	int r = loader_become(CHECK_USER);

	if (r < 0) {
		(void)fprintf(stderr,
			      "novnc-gate: cannot switch to user " CHECK_USER ": %s\n",
			      strerror(-r));
		_exit(CHECK_NOT_DONE);
	}
	r = look(userdata);
	_exit(fflush(stdout) != 0 ? CHECK_NOT_DONE : -r);
}

/* The child's result, or the error that hides it. */
static int result_of(pid_t pid, int *ret)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (!WIFEXITED(status) || WEXITSTATUS(status) == CHECK_NOT_DONE)
		return -ECHILD;
	*ret = -WEXITSTATUS(status);
	return 0;
}

static int fork_to_look(int (*look)(void *userdata), void *userdata, int *ret)
{
	pid_t pid;
	int r;

	(void)fflush(stdout); /* or the child would write it once more */
	pid = fork();
	if (pid < 0) {
		r = -errno;
		(void)fprintf(stderr, "novnc-gate: fork: %s\n", strerror(-r));
		return r;
	}
	if (pid == 0)
		look_as_user(look, userdata);
	r = result_of(pid, ret);
	if (r == 0 && *ret < 0)
		(void)fprintf(stderr, "novnc-gate: checked as user " CHECK_USER
				      ", which serves the connections\n");
	return r;
}

int check_as_user(int (*look)(void *userdata), void *userdata, bool tell, int *ret)
{
	if (geteuid() == 0 && loader_user_exists(CHECK_USER))
		return fork_to_look(look, userdata, ret);
	if (geteuid() == 0 && tell)
		(void)printf("There is no user " CHECK_USER
			     ". Checking as root, which may read and reach more.\n");
	*ret = look(userdata);
	return 0;
}
