/* SPDX-License-Identifier: MIT */
/* `novnc-gatectl check`: `novnc-gate --check`, verdict first; with --session=, a handshake as well. */
#include <stdio.h>
#include <stdlib.h>

#include "ctl/gate.h"
#include "ctl/handshake.h"
#include "ctl/memory.h"
#include "ctl/sockets.h"

/* An id is one segment of a path, as it is written in a URL. */
static bool is_id(const char *id)
{
	for (const char *p = id; *p; p++)
		if (*p <= ' ' || *p > '~' || strchr("/?#\\", *p))
			return false;
	return id[0] != '\0';
}

static bool is_cookie(const char *cookie)
{
	for (const char *p = cookie; p && *p; p++)
		if (*p < ' ' || *p > '~')
			return false;
	return true;
}

/* "@FILE" is the first line of a file. Returns 0 or -errno; free() *ret, which can be NULL. */
static int cookie_read(const char *option, char **ret)
{
	size_t room = 0;
	ssize_t n;
	FILE *f;

	*ret = option ? memory_copy(slice_str(option)) : NULL;
	if (!option || option[0] != '@')
		return 0;
	f = fopen(option + 1, "re");
	if (!f)
		return -errno;
	n = getline(ret, &room, f);
	(void)fclose(f);
	if (n > 0 && (*ret)[n - 1] == '\n')
		(*ret)[n - 1] = '\0';
	return n > 0 ? 0 : -ENODATA;
}

static int where(const struct ctl *o, struct sockets_address *ret)
{
	sd_bus *bus = NULL;
	int r = systemd_open(o->user, &bus);

	if (r == 0)
		r = sockets_address(bus, ret);
	sd_bus_flush_close_unref(bus);
	return r;
}

/* The exit code: the worse one of the check and of the handshake. */
static int handshake(const struct ctl *o, struct gate_report *r)
{
	struct sockets_address at;
	int error = where(o, &at), code = GATE_NOT_READY;

	if (error < 0)
		gate_report_add(r, GATE_ERROR, "session", systemd_strerror(error), "");
	else if (!at.listens)
		gate_report_add(
			r, GATE_ERROR, "session",
			"neither novnc-gate.service nor novnc-gate-tls.service listens",
			"systemctl start novnc-gate");
	else
		code = handshake_run(o, &at, r);
	return r->code == 0 ? code : r->code;
}

static int check(const struct ctl *o)
{
	struct gate_report report;
	int r, code = EXIT_FAILURE;

	if ((o->session && !is_id(o->session)) || !is_cookie(o->cookie)) {
		(void)fprintf(stderr, "--session= must be one segment of a path, and "
				      "--cookie= printable\n");
		return EXIT_FAILURE;
	}
	r = gate_check(o, GATE_CHECK_ALL, &report);
	if (r < 0) {
		(void)fprintf(stderr, "Cannot run novnc-gate: %s\n", strerror(-r));
	} else {
		if (o->session)
			report.code = handshake(o, &report);
		gate_report_print(o, &report);
		code = report.code;
	}
	gate_report_done(&report);
	return code;
}

int ctl_check(const struct ctl *o, char *args[])
{
	struct ctl with_cookie = *o;
	char *cookie;
	int r = cookie_read(o->cookie, &cookie), code = EXIT_FAILURE;

	(void)args;
	with_cookie.cookie = cookie;
	if (r < 0)
		(void)fprintf(stderr, "Cannot read %s: %s\n", o->cookie + 1,
			      strerror(-r));
	else
		code = check(&with_cookie);
	free(cookie);
	return code;
}
