/* SPDX-License-Identifier: MIT */
#include "ctl/systemd.h"

#include <stdio.h>
#include <stdlib.h>

#include "ctl/memory.h"

#define DESTINATION "org.freedesktop.systemd1"
#define MANAGER     "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"
/* Requests on their way: the D-Bus daemon allows 128 by default. */
#define WINDOW      100

/* ---- the connection */

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

int systemd_open(bool user, sd_bus **ret)
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
	return r < 0 ? r : 0;
}

const char *systemd_strerror(int error)
{
	switch (error) {
	case -ENOENT:
	case -ECONNREFUSED: return "systemd does not run here";
	case -ENOMEDIUM:
		return "There is no service manager for this user; is this a login session?";
	case -EACCES:
	case -EPERM: return "Access denied; try it as root";
	default: return strerror(-error);
	}
}

/* ---- units */

static int unit_read(sd_bus_message *m, struct systemd_unit *ret)
{
	const char *name, *active, *path;
	int r = sd_bus_message_read(m, "(ssssssouso)", &name, NULL, NULL, &active, NULL,
				    NULL, &path, NULL, NULL, NULL);

	if (r <= 0)
		return r;
	ret->name = memory_copy(slice_str(name));
	ret->path = memory_copy(slice_str(path));
	ret->active = memory_copy(slice_str(active));
	return r;
}

static int units_read(sd_bus_message *m, struct systemd_unit **ret)
{
	struct systemd_unit *units = NULL, unit;
	size_t room = 0, n = 0;
	int r = sd_bus_message_enter_container(m, 'a', "(ssssssouso)");

	while (r >= 0 && (r = unit_read(m, &unit)) > 0) {
		if (n == room)
			units = memory_array(units, room = room ? 2 * room : 16,
					     sizeof(unit));
		units[n++] = unit;
	}
	if (r < 0) {
		systemd_units_done(units, (int)n);
		return r;
	}
	*ret = units;
	return (int)n;
}

int systemd_units(sd_bus *bus, const char *const patterns[], const char *const states[],
		  struct systemd_unit **ret)
{
	static const char *const any[] = { NULL };
	sd_bus_message *m = NULL, *answer = NULL;
	int r = sd_bus_message_new_method_call(bus, &m, DESTINATION, MANAGER,
					       "ListUnitsByPatterns");

	*ret = NULL;
	if (r >= 0)
		r = sd_bus_message_append_strv(m, (char **)(states ? states : any));
	if (r >= 0)
		r = sd_bus_message_append_strv(m, (char **)patterns);
	if (r >= 0)
		r = sd_bus_call(bus, m, 0, NULL, &answer);
	if (r >= 0)
		r = units_read(answer, ret);
	sd_bus_message_unref(m);
	sd_bus_message_unref(answer);
	return r;
}

void systemd_units_done(struct systemd_unit *units, int n)
{
	for (int i = 0; i < n; i++) {
		free(units[i].name);
		free(units[i].path);
		free(units[i].active);
	}
	free(units);
}

/* ---- properties */

struct reading {
	const struct systemd_get *get;
	size_t *pending;
};

static int id_read(sd_bus_message *m, char **ret)
{
	char *text;
	const uint8_t *id;
	size_t len;
	int r = sd_bus_message_read_array(m, 'y', (const void **)&id, &len);

	if (r < 0)
		return r;
	text = memory_array(NULL, 2 * len + 1, 1);
	text[0] = '\0';
	for (size_t i = 0; i < len; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", id[i]);
	*ret = text;
	return 0;
}

/* a(ss): kinds and addresses */
static int listen_read(sd_bus_message *m, char **ret)
{
	const char *address;
	char *all = NULL;
	int r = sd_bus_message_enter_container(m, 'a', "(ss)");

	while (r >= 0 && (r = sd_bus_message_read(m, "(ss)", NULL, &address)) > 0) {
		char *longer =
			memory_print("%s%s%s", all ? all : "", all ? " " : "", address);

		free(all);
		all = longer;
	}
	*ret = all;
	return r;
}

static int value_read(sd_bus_message *m, const struct systemd_get *g)
{
	const char *type = g->type == 'y'   ? "ay"
			   : g->type == 'l' ? "a(ss)"
					    : (char[]){ g->type, '\0' };
	const char *text;
	int r = sd_bus_message_enter_container(m, 'v', type);

	if (r < 0)
		return r;
	if (g->type == 'y')
		return id_read(m, g->ret);
	if (g->type == 'l')
		return listen_read(m, g->ret);
	if (g->type != 's')
		return sd_bus_message_read_basic(m, g->type, g->ret);
	r = sd_bus_message_read_basic(m, 's', &text);
	if (r >= 0)
		*(char **)g->ret = memory_copy(slice_str(text));
	return r;
}

static int on_value(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct reading *reading = userdata;

	(void)error;
	--*reading->pending;
	/* an error says that the unit is gone, so nothing is known of it */
	if (!sd_bus_message_is_method_error(m, NULL))
		(void)value_read(m, reading->get);
	return 1;
}

static int step(sd_bus *bus)
{
	int r = sd_bus_process(bus, NULL);

	return r != 0 ? r : sd_bus_wait(bus, UINT64_MAX);
}

int systemd_read(sd_bus *bus, const struct systemd_get *gets, size_t n)
{
	struct reading *readings = memory_array(NULL, n, sizeof(*readings));
	size_t sent = 0, pending = 0;
	int r = 0;

	while (r >= 0 && (sent < n || pending > 0)) {
		if (sent == n || pending == WINDOW) {
			r = step(bus);
			continue;
		}
		readings[sent] = (struct reading){ &gets[sent], &pending };
		r = sd_bus_call_method_async(bus, NULL, DESTINATION, gets[sent].path,
					     "org.freedesktop.DBus.Properties", "Get",
					     on_value, &readings[sent], "ss",
					     gets[sent].interface, gets[sent].property);
		sent++;
		pending++;
	}
	/* after an error the connection is closed by the caller, and no reply comes any more */
	free(readings);
	return r < 0 ? r : 0;
}

/* ---- jobs */

struct stopping {
	char **jobs; /* paths; NULL: done */
	size_t n, left;
};

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct stopping *s = userdata;
	const char *path;

	(void)error;
	if (sd_bus_message_read(m, "uoss", NULL, &path, NULL, NULL) < 0)
		return 0;
	for (size_t i = 0; i < s->n; i++)
		if (s->jobs[i] && strcmp(s->jobs[i], path) == 0) {
			free(s->jobs[i]);
			s->jobs[i] = NULL;
			s->left--;
		}
	return 0;
}

/* Returns 1 with a job, 0 if the unit is gone. */
static int stop_one(sd_bus *bus, const char *unit, char **ret)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *answer = NULL;
	const char *path;
	int r = sd_bus_call_method(bus, DESTINATION, MANAGER, "StopUnit", &error, &answer,
				   "ss", unit, "replace");

	if (r >= 0)
		r = sd_bus_message_read(answer, "o", &path);
	if (r >= 0)
		*ret = memory_copy(slice_str(path));
	else if (sd_bus_error_has_name(&error, "org.freedesktop.systemd1.NoSuchUnit"))
		r = 0;
	sd_bus_error_free(&error);
	sd_bus_message_unref(answer);
	return r > 0 ? 1 : r;
}

static int stop_all(sd_bus *bus, const char *const units[], struct stopping *s,
		    void (*each)(void *userdata, size_t i, bool gone), void *userdata)
{
	for (size_t i = 0; i < s->n; i++) {
		int r = stop_one(bus, units[i], &s->jobs[i]);

		if (r < 0)
			return r;
		s->left += (size_t)r;
		each(userdata, i, r == 0);
	}
	return 0;
}

int systemd_stop(sd_bus *bus, const char *const units[], size_t n, bool wait,
		 void (*each)(void *userdata, size_t i, bool gone), void *userdata)
{
	struct stopping s = { .jobs = memory_array(NULL, n, sizeof(char *)), .n = n };
	sd_bus_slot *slot = NULL;
	int r;

	memset(s.jobs, 0, n * sizeof(char *));
	r = sd_bus_match_signal(bus, &slot, DESTINATION, MANAGER, "JobRemoved",
				on_job_removed, &s);
	if (r >= 0)
		r = sd_bus_call_method(bus, DESTINATION, MANAGER, "Subscribe", NULL, NULL,
				       NULL);
	/* signals that come during the calls below are queued, and processed only in step() */
	if (r >= 0)
		r = stop_all(bus, units, &s, each, userdata);
	while (r >= 0 && wait && s.left > 0)
		r = step(bus);
	sd_bus_slot_unref(slot);
	for (size_t i = 0; i < n; i++)
		free(s.jobs[i]);
	free(s.jobs);
	return r < 0 ? r : 0;
}
