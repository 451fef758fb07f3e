/* SPDX-License-Identifier: MIT */
/* `novnc-gatectl check`: `novnc-gate --check`, verdict first; with --session=, a handshake as well. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/gate.h"
#include "ctl/handshake.h"
#include "ctl/memory.h"
#include "ctl/sockets.h"

/* Of the line of a file. */
#define COOKIE_MAX 65536

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

/* The first line of a file. Returns NULL; or why it cannot be used. */
static const char *line_read(FILE *f, char *ret)
{
	size_t len = 0;
	int c = EOF;

	while (len <= COOKIE_MAX && (c = getc(f)) != EOF && c != '\n')
		ret[len++] = c == '\0' ? '\n' : (char)c; /* neither is printable */
	if (ferror(f))
		return strerror(errno);
	if (len > COOKIE_MAX)
		return "the line is longer than 64K";
	if (len > 0 && ret[len - 1] == '\r')
		len--;
	ret[len] = '\0';
	return NULL;
}

/* "@FILE" is the first line of a file. Returns NULL; or why it cannot be used. free() *ret, which can be NULL. */
static const char *cookie_read(const char *option, char **ret)
{
	const char *why = NULL;
	FILE *f;

	*ret = option ? memory_copy(slice_str(option)) : NULL;
	if (option && option[0] == '@') {
		f = fopen(option + 1, "re");
		if (!f)
			return strerror(errno);
		free(*ret);
		*ret = memory_array(NULL, COOKIE_MAX + 2, 1);
		why = line_read(f, *ret);
		(void)fclose(f);
	}
	if (!why && *ret && (*ret)[0] == '\0')
		why = "empty";
	return why || is_cookie(*ret) ? why : "only printable ASCII is allowed";
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

/* Warns if no socket listens, as far as systemd can be asked. */
static void check_sockets(const struct ctl *o, struct gate_report *r)
{
	struct sockets kinds[SOCKETS_KINDS] = { 0 };
	sd_bus *bus = NULL;

	if (systemd_open(o->user, &bus) == 0 && sockets_installed(bus) == 0 &&
	    sockets_read(bus, kinds) == 0 && !sockets_listen(kinds))
		gate_report_add(r, GATE_WARNING, "sockets",
				"no socket listens, so nobody can connect",
				o->user ? "systemctl --user start novnc-gate"
					: "systemctl start novnc-gate");
	sockets_done(kinds);
	sd_bus_flush_close_unref(bus);
}

static int check(const struct ctl *o)
{
	struct gate_report report;
	int r, code = EXIT_FAILURE;

	if (o->session && !is_id(o->session)) {
		(void)fprintf(stderr, "--session=%s must be one segment of a path\n",
			      o->session);
		return EXIT_FAILURE;
	}
	r = gate_check(o, GATE_CHECK_ALL, &report);
	if (r < 0) {
		(void)fprintf(stderr, "Cannot run novnc-gate: %s\n", strerror(-r));
	} else {
		if (o->session)
			report.code = handshake(o, &report);
		else
			check_sockets(o, &report);
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
	const char *why = cookie_read(o->cookie, &cookie);
	int code = EXIT_FAILURE;

	(void)args;
	with_cookie.cookie = cookie;
	if (why) /* without the cookies, which are secret */
		(void)fprintf(stderr, "--cookie=%s: %s\n",
			      o->cookie[0] == '@' ? o->cookie : "", why);
	else
		code = check(&with_cookie);
	free(cookie);
	return code;
}
