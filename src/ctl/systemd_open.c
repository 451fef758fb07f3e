/* SPDX-License-Identifier: MIT */
/* The connection to the service manager, and its errors. */
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "ctl/memory.h"
#include "ctl/systemd.h"

/* Between two attempts to connect again. */
#define REOPEN_MS 100
/* For systemd to re-execute itself, which takes seconds with thousands of units. */
#define AGAIN_MS  30000
/* Calls that fail one after the other because systemd re-executes itself. */
#define CALLS     20

/* As systemctl(1): without the D-Bus daemon in between, which need not run. */
static int open_directly(const char *runtime, sd_bus **ret)
{
	char *address = memory_print("unix:path=%s/systemd/private", runtime);
	sd_bus *bus = NULL;
	int r = sd_bus_new(&bus);

	if (r >= 0)
		r = sd_bus_set_address(bus, address);
	if (r >= 0)
		r = sd_bus_start(bus);
	free(address);
	if (r < 0)
		sd_bus_unref(bus);
	else
		*ret = bus;
	return r;
}

static int open_once(bool user, sd_bus **ret)
{
	/* PID 1 talks to root only; a user's manager to that user */
	const char *runtime = user             ? getenv("XDG_RUNTIME_DIR")
			      : geteuid() == 0 ? "/run"
					       : NULL;
	int r = runtime ? open_directly(runtime, ret) : -EPERM;

	if (r < 0)
		r = user ? sd_bus_open_user(ret) : sd_bus_open_system(ret);
	if (r >= 0)
		(void)sd_bus_set_allow_interactive_authorization(*ret, true); /* polkit */
	/* these also are errors of files, which systemd_strerror() would not tell apart */
	if (r == -ENOENT || r == -ECONNREFUSED)
		return -EHOSTDOWN;
	return r < 0 ? r : 0;
}

/*
 * True if the error can be that systemd re-executes itself (systemctl daemon-reexec), which cuts all connections
 * to it for a moment.
 */
static bool is_lost(int error)
{
	switch (error) {
	case -EACCES:
	case -EPERM:
	case -ENOMEM:
	case -ENOPKG:
	case -ECANCELED:
	case -EREMOTEIO:
	case -ETIMEDOUT: return false;
	default: return error < 0;
	}
}

/*
 * Replaces the connection after such an error, as soon as systemd accepts one. Returns 0; or, with *bus as it was,
 * -ECANCELED for a signal, or the error, if it is another one or end_ms has come.
 */
static int reopen(int error, bool user, const struct systemd_wait *wait, sd_bus **bus)
{
	struct pollfd signal = { .fd = wait->sigfd };
	uint64_t now_ms;
	sd_bus *again;

	while (is_lost(error) && (now_ms = clock_ms()) < wait->end_ms) {
		int r = clock_wait(&signal, 1, now_ms,
				   clock_earlier(now_ms + REOPEN_MS, wait->end_ms));

		if (r != -ETIMEDOUT)
			return r;
		error = open_once(user, &again);
		if (error < 0)
			continue;
		sd_bus_flush_close_unref(*bus);
		*bus = again;
		return 0;
	}
	return error;
}

int systemd_open(bool user, sd_bus **ret)
{
	const struct systemd_wait limit = { -1, clock_ms() + AGAIN_MS };
	int r = open_once(user, ret);

	/* PID 1 listens for root, except while it re-executes itself */
	if (r == -EHOSTDOWN && !user && geteuid() == 0 && sd_booted() > 0)
		r = reopen(r, user, &limit, ret);
	return r;
}

int systemd_again(bool user, sd_bus **bus, const struct systemd_wait *wait,
		  int (*call)(sd_bus *bus, void *userdata), void *userdata)
{
	uint64_t end_ms = wait ? wait->end_ms : CLOCK_INFINITY;
	struct systemd_wait limit = { .sigfd = wait ? wait->sigfd : -1 };
	int r = call(*bus, userdata);

	for (int n = 1; r < 0 && n < CALLS; n++) {
		limit.end_ms = clock_earlier(end_ms, clock_ms() + AGAIN_MS);
		r = reopen(r, user, &limit, bus);
		if (r < 0)
			break;
		r = call(*bus, userdata);
	}
	return r < 0 && clock_ms() >= end_ms ? -ETIMEDOUT : r;
}

const char *systemd_strerror(int error)
{
	switch (error) {
	case -ENOPKG: return "there is no novnc-gate.service; is novnc-gate installed?";
	case -EHOSTDOWN: return "systemd does not run here";
	case -ENOMEDIUM:
		return "There is no service manager for this user; is this a login session?";
	case -EACCES:
	case -EPERM: return "Access denied; try it as root";
	case -EBUSY: return "systemd does not respond";
	case -EREMOTEIO: return "the job of systemd failed or was canceled";
	default: return strerror(-error);
	}
}
