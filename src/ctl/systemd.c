/* SPDX-License-Identifier: MIT */
#include "ctl/systemd.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ctl/memory.h"

#define DESTINATION "org.freedesktop.systemd1"
#define MANAGER     SYSTEMD_PATH, SYSTEMD_MANAGER
/* Requests on their way: the D-Bus daemon allows 128 by default. */
#define WINDOW      100

/* ---- errors, and waiting */

/* -ETIMEDOUT is for the time that a caller of systemd_stop() has set. */
static int fault(int r)
{
	return r == -ETIMEDOUT ? -EBUSY : r;
}

/* The error in a response as -errno; 0: none, or that there is no such unit. */
static int response_error(sd_bus_message *m)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);

	if (!e || sd_bus_error_has_name(e, "org.freedesktop.DBus.Error.UnknownObject") ||
	    sd_bus_error_has_name(e, "org.freedesktop.systemd1.NoSuchUnit"))
		return 0;
	return fault(-sd_bus_message_get_errno(m));
}

static const struct systemd_wait unlimited = { -1, CLOCK_INFINITY };

/* Handles a message, or waits for one. A call without a response ends with an error by itself. */
static int step(sd_bus *bus, const struct systemd_wait *wait)
{
	struct pollfd p[] = { { .fd = wait->sigfd }, { .fd = sd_bus_get_fd(bus) } };
	uint64_t due_us, now_ms = clock_ms(), due_ms = CLOCK_INFINITY;
	int r = sd_bus_process(bus, NULL), events;

	if (r != 0)
		return fault(r);
	events = sd_bus_get_events(bus);
	r = sd_bus_get_timeout(bus, &due_us);
	if (events < 0 || r < 0)
		return events < 0 ? events : r;
	if (due_us != UINT64_MAX)
		due_ms = due_us / 1000 + 1;
	p[1].events = (short)events;
	r = clock_wait(p, 2, now_ms, clock_earlier(due_ms, wait->end_ms));
	return r == -ETIMEDOUT && clock_ms() < wait->end_ms ? 0 : r;
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
	return fault(r);
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
	int *error; /* of the first that has failed; 0: none */
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

/* a(sasbttttuii): programs, arguments and so on */
static int program_read(sd_bus_message *m, char **ret)
{
	const char *program;
	int r = sd_bus_message_enter_container(m, 'a', "(sasbttttuii)");

	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'r', "sasbttttuii");
	if (r <= 0)
		return r; /* 0: no command */
	r = sd_bus_message_read_basic(m, 's', &program);
	if (r > 0)
		*ret = memory_copy(slice_str(program));
	return r;
}

static int value_read(sd_bus_message *m, const struct systemd_get *g)
{
	const char *type = g->type == 'y'   ? "ay"
			   : g->type == 'l' ? "a(ss)"
			   : g->type == 'x' ? "a(sasbttttuii)"
					    : (char[]){ g->type, '\0' };
	const char *text;
	int r = sd_bus_message_enter_container(m, 'v', type);

	if (r < 0)
		return r;
	if (g->type == 'y')
		return id_read(m, g->ret);
	if (g->type == 'l')
		return listen_read(m, g->ret);
	if (g->type == 'x')
		return program_read(m, g->ret);
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
	int r = sd_bus_message_is_method_error(m, NULL) ? response_error(m)
							: value_read(m, reading->get);

	(void)error;
	--*reading->pending;
	if (r < 0 && *reading->error == 0)
		*reading->error = r;
	return 1;
}

int systemd_read(sd_bus *bus, const struct systemd_get *gets, size_t n)
{
	struct reading *readings = memory_array(NULL, n, sizeof(*readings));
	size_t sent = 0, pending = 0;
	int r = 0, error = 0;

	while (r >= 0 && (sent < n || pending > 0)) {
		if (sent == n || pending == WINDOW) {
			r = step(bus, &unlimited);
			continue;
		}
		readings[sent] = (struct reading){ &gets[sent], &pending, &error };
		r = sd_bus_call_method_async(bus, NULL, DESTINATION, gets[sent].path,
					     "org.freedesktop.DBus.Properties", "Get",
					     on_value, &readings[sent], "ss",
					     gets[sent].interface, gets[sent].property);
		sent++;
		pending++;
	}
	/* after r < 0 the connection is closed by the caller, and no response comes any more */
	free(readings);
	return r < 0 ? r : error;
}

/* ---- jobs */

struct stopping {
	char **jobs; /* paths; NULL: there is none, or it has ended */
	size_t n, left;
	int error; /* of a job */

	/* of the unit that is being stopped: */
	size_t at, pending; /* its index, and the responses that have not come */
	bool active;
	int result; /* of systemd_stop()'s each() */
};

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct stopping *s = userdata;
	const char *path, *result;

	(void)error;
	if (sd_bus_message_read(m, "uoss", NULL, &path, NULL, &result) < 0)
		return 0;
	for (size_t i = 0; i < s->n; i++)
		if (s->jobs[i] && strcmp(s->jobs[i], path) == 0) {
			free(s->jobs[i]);
			s->jobs[i] = NULL;
			s->left--;
			if (strcmp(result, "done") != 0)
				s->error = -EREMOTEIO;
		}
	return 0;
}

static int on_state(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct stopping *s = userdata;
	const char *state;

	(void)error;
	s->pending--;
	s->active = !sd_bus_message_is_method_error(m, NULL) &&
		    sd_bus_message_read(m, "v", "s", &state) >= 0 &&
		    strcmp(state, "active") == 0;
	return 1;
}

static int on_stopping(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct stopping *s = userdata;
	const char *job;

	(void)error;
	s->pending--;
	if (sd_bus_message_is_method_error(m, NULL)) {
		s->result = response_error(m);
	} else if ((s->result = sd_bus_message_read(m, "o", &job)) > 0) {
		/* also of a unit that is being stopped already, so that its end is waited for */
		s->jobs[s->at] = memory_copy(slice_str(job));
		s->left++;
		s->result = s->active;
	}
	return 1;
}

/*
 * StopUnit succeeds also for a unit that has ended, because it loads its template anew: the state just before
 * tells if there was something to stop. Returns as each() of systemd_stop() gets it, or a failure of the wait.
 */
static int stop_one(sd_bus *bus, const struct systemd_unit *unit, struct stopping *s,
		    const struct systemd_wait *wait)
{
	sd_bus_slot *state = NULL, *stop = NULL;
	int r = sd_bus_call_method_async(bus, &state, DESTINATION, unit->path,
					 "org.freedesktop.DBus.Properties", "Get",
					 on_state, s, "ss", SYSTEMD_UNIT, "ActiveState");

	if (r >= 0)
		r = sd_bus_call_method_async(bus, &stop, DESTINATION, MANAGER, "StopUnit",
					     on_stopping, s, "ss", unit->name, "replace");
	s->pending = 2;
	s->active = false;
	s->result = 0;
	while (r >= 0 && s->pending > 0)
		r = step(bus, wait);
	sd_bus_slot_unref(state);
	sd_bus_slot_unref(stop);
	return r;
}

int systemd_stop(sd_bus *bus, const struct systemd_unit *const units[], size_t n,
		 const struct systemd_wait *wait,
		 void (*each)(void *userdata, size_t i, int result), void *userdata)
{
	const struct systemd_wait *limit = wait ? wait : &unlimited;
	struct stopping s = { .jobs = memory_array(NULL, n, sizeof(char *)), .n = n };
	sd_bus_slot *slot = NULL;
	int r;

	memset(s.jobs, 0, n * sizeof(char *));
	r = sd_bus_match_signal(bus, &slot, DESTINATION, MANAGER, "JobRemoved",
				on_job_removed, &s);
	if (r >= 0)
		r = fault(sd_bus_call_method(bus, DESTINATION, MANAGER, "Subscribe", NULL,
					     NULL, NULL));
	for (; r >= 0 && s.at < n; s.at++) {
		r = stop_one(bus, units[s.at], &s, limit);
		if (r < 0)
			break;
		each(userdata, s.at, s.result);
		r = s.result;
	}
	while (r >= 0 && wait && s.left > 0)
		r = step(bus, limit);
	sd_bus_slot_unref(slot);
	for (size_t i = 0; i < n; i++)
		free(s.jobs[i]);
	free(s.jobs);
	return r < 0 ? r : wait ? s.error : 0;
}
