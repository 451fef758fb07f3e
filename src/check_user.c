/* SPDX-License-Identifier: MIT */
/* As whom `--check` looks: what root can read and reach, the service's user may not. */
#include "check_user.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader.h"

#define CHECK_USER "novnc-gate"

/* In the child: ends it. */
static void look_as_user(int (*look)(void *userdata), void *userdata)
{
	int r = loader_become(CHECK_USER);

	if (r < 0)
		(void)fprintf(stderr,
			      "novnc-gate: to become the user " CHECK_USER ": %s\n",
			      strerror(-r));
	else
		r = look(userdata);
	(void)fflush(stdout); /* the parent finds out if nobody reads that */
	_exit(-r);
}

/* What the child returned, or why it did not. */
static int result_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

int check_as_user(int (*look)(void *userdata), void *userdata, bool tell)
{
	pid_t pid;
	int r;

	if (geteuid() != 0)
		return look(userdata);
	if (!loader_user_exists(CHECK_USER)) {
		if (tell)
			(void)printf("There is no user " CHECK_USER
				     " here, so this is checked as root, who may "
				     "read and reach more.\n");
		return look(userdata);
	}
	(void)fflush(stdout); /* or the child would write it once more */
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		look_as_user(look, userdata);
	r = result_of(pid);
	if (r < 0)
		(void)fprintf(stderr,
			      "novnc-gate: this was checked as the user " CHECK_USER
			      ", who serves the connections\n");
	return r;
}
