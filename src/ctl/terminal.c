/* SPDX-License-Identifier: MIT */
#include "ctl/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t pager; /* 0 or -1: none */
/* Standard output; if that leads to the pager now, what it was before. */
static int terminal = STDOUT_FILENO;

static unsigned environment_number(const char *name)
{
	const char *text = getenv(name);
	long n = text ? strtol(text, NULL, 10) : 0;

	return n > 0 && n < 10000 ? (unsigned)n : 0;
}

static struct winsize size(void)
{
	struct winsize w = { 0 };

	(void)ioctl(terminal, TIOCGWINSZ, &w); /* if it fails, zero stays */
	return w;
}

unsigned terminal_columns(void)
{
	unsigned n = environment_number("COLUMNS");

	if (!isatty(terminal))
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

/* A boolean of systemd's. */
static bool is_true(const char *text)
{
	return !strchr("0nNfF", text[0]) && strcasecmp(text, "off") != 0;
}

bool terminal_has_colour(void)
{
	const char *wanted = getenv("SYSTEMD_COLORS"), *term = getenv("TERM");

	if (wanted)
		return is_true(wanted);
	return isatty(terminal) && !getenv("NO_COLOR") && term &&
	       strcmp(term, "dumb") != 0;
}

/*
 * The rules of systemctl(1): a pager that runs as another user than the one at the terminal must not give them a
 * shell. So it is less in its secure mode then, unless SYSTEMD_PAGERSECURE= says otherwise.
 */
static bool pager_is_privileged(void)
{
	return geteuid() == 0 || getenv("SUDO_UID");
}

static bool pager_is_secure(void)
{
	const char *wanted = getenv("SYSTEMD_PAGERSECURE");

	return wanted ? is_true(wanted) : pager_is_privileged();
}

/* NULL: none. */
static const char *pager_command(void)
{
	const char *command = getenv("SYSTEMD_PAGER");

	if (!command)
		command = getenv("PAGER");
	if (command && (command[0] == '\0' || strcmp(command, "cat") == 0))
		return NULL;
	if (command && (getenv("SYSTEMD_PAGERSECURE") || !pager_is_privileged()))
		return command;
	return "if command -v less >/dev/null; then exec less; fi; exec cat";
}

/* In the child: reads from the pipe. */
static void pager_execute(const char *command, int from)
{
	const char *options = getenv("SYSTEMD_LESS");

	(void)dup2(from, STDIN_FILENO);
	(void)setenv("LESS", options ? options : "FRSXMK", true);
	if (pager_is_secure())
		(void)setenv("LESSSECURE", "1", true);
	else
		(void)unsetenv("LESSSECURE");
	(void)execlp("sh", "sh", "-c", command, NULL);
	_exit(EXIT_FAILURE);
}

void terminal_pager_open(bool wanted)
{
	const char *command = pager_command();
	int ends[2];

	if (!wanted || !isatty(STDOUT_FILENO) || !command || pipe(ends) < 0)
		return;
	(void)fflush(stdout);
	pager = fork();
	if (pager == 0) {
		(void)close(ends[1]);
		pager_execute(command, ends[0]);
	}
	if (pager > 0) {
		terminal = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
		(void)dup2(ends[1], STDOUT_FILENO);
		(void)signal(SIGPIPE, SIG_IGN); /* the pager may end first */
		(void)signal(SIGINT, SIG_IGN);
	}
	(void)close(ends[0]);
	(void)close(ends[1]);
}

bool terminal_pager_close(void)
{
	if (pager <= 0)
		return false;
	(void)fflush(stdout);
	(void)close(STDOUT_FILENO);
	(void)waitpid(pager, NULL, 0);
	return true;
}
