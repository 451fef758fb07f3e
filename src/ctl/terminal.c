/* SPDX-License-Identifier: MIT */
#include "ctl/terminal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t pager; /* 0: none */

static unsigned environment_number(const char *name)
{
	const char *text = getenv(name);
	long n = text ? strtol(text, NULL, 10) : 0;

	return n > 0 && n < 10000 ? (unsigned)n : 0;
}

static struct winsize size(void)
{
	struct winsize w = { 0 };

	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &w); /* if it fails, zero stays */
	return w;
}

unsigned terminal_columns(void)
{
	unsigned n = environment_number("COLUMNS");

	if (!isatty(STDOUT_FILENO))
		return 0;
	if (n == 0)
		n = size().ws_col;
	return n > 0 ? n : 80;
}

unsigned terminal_rows(void)
{
	unsigned n = environment_number("LINES");

	if (n == 0)
		n = size().ws_row;
	return n > 0 ? n : 24;
}

bool terminal_has_colour(void)
{
	const char *wanted = getenv("SYSTEMD_COLORS"), *term = getenv("TERM");

	if (wanted)
		return strchr("1yYtT", wanted[0]) != NULL && wanted[0] != '\0';
	return isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && term &&
	       strcmp(term, "dumb") != 0;
}

static const char *pager_command(void)
{
	const char *command = getenv("SYSTEMD_PAGER");

	if (!command)
		command = getenv("PAGER");
	return command ? command : "less";
}

/* In the child: reads from the pipe. */
static void pager_execute(const char *command, int from)
{
	(void)dup2(from, STDIN_FILENO);
	(void)setenv("LESS", "FRSXMK", getenv("SYSTEMD_LESS") == NULL);
	if (getenv("SYSTEMD_LESS"))
		(void)setenv("LESS", getenv("SYSTEMD_LESS"), true);
	if (geteuid() == 0 || getenv("SUDO_UID"))
		(void)setenv("LESSSECURE", "1", true); /* no shell out of it */
	(void)execlp("sh", "sh", "-c", command, NULL);
	_exit(EXIT_FAILURE);
}

void terminal_pager_open(bool wanted)
{
	const char *command = pager_command();
	int ends[2];

	if (!wanted || !isatty(STDOUT_FILENO) || command[0] == '\0' ||
	    strcmp(command, "cat") == 0 || pipe(ends) < 0)
		return;
	(void)fflush(stdout);
	pager = fork();
	if (pager == 0) {
		(void)close(ends[1]);
		pager_execute(command, ends[0]);
	}
	if (pager > 0)
		(void)dup2(ends[1], STDOUT_FILENO);
	else
		pager = 0;
	(void)close(ends[0]);
	(void)close(ends[1]);
	(void)signal(SIGPIPE, SIG_IGN); /* the pager may end first */
	(void)signal(SIGINT, pager ? SIG_IGN : SIG_DFL);
}

void terminal_pager_close(void)
{
	if (pager == 0)
		return;
	(void)fflush(stdout);
	(void)close(STDOUT_FILENO);
	(void)waitpid(pager, NULL, 0);
	pager = 0;
}
