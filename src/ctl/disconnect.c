/* SPDX-License-Identifier: MIT */
/* `novnc-gatectl disconnect`: ends sessions, as `systemctl stop` of their units, and says so in the journal. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/events.h"
#include "ctl/match.h"
#include "ctl/memory.h"
#include "ctl/table.h"
#include "ctl/writer.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* ---- who does it */

/* The user of the login, which stays through su(1) and sudo(8); (uid_t)-1: no login. */
static uid_t login_uid(void)
{
	FILE *f = fopen("/proc/self/loginuid", "re");
	unsigned long uid = (uid_t)-1;

	if (f && fscanf(f, "%lu", &uid) != 1)
		uid = (uid_t)-1;
	if (f)
		(void)fclose(f);
	return (uid_t)uid;
}

static char *caller(void)
{
	const char *sudo = geteuid() == 0 ? getenv("SUDO_USER") : NULL;
	uid_t login = login_uid();
	const struct passwd *user;

	if (login == (uid_t)-1 && sudo)
		return memory_copy(slice_str(sudo));
	if (login == (uid_t)-1)
		login = getuid();
	user = getpwuid(login);
	return user ? memory_copy(slice_str(user->pw_name)) : memory_print("%u", login);
}

/* ---- the sessions that are disconnected */

struct disconnect {
	const struct ctl *options;
	const struct session **session;   /* those that are to be ended, borrowed */
	const struct systemd_unit **unit; /* their units */
	size_t n, told; /* all of them; those that on_stop() has handled */
	bool unlogged;  /* the journal has not taken an entry, which was printed */
	bool again; /* systemd has re-executed itself, and all are stopped once more */
	char *by;
	struct table table; /* those that systemd ends */
};

static const struct table_column columns[] = {
	{ "SESSION", TABLE_LEFT },      { "USER", TABLE_LEFT },  { "CLIENT", TABLE_LEFT },
	{ "UP", TABLE_RIGHT },          { "DOWN", TABLE_RIGHT }, { "UNIT", TABLE_MIDDLE },
	{ "INVOCATION", TABLE_HIDDEN },
};

static void say(const struct ctl *o, const struct session *s)
{
	(void)printf("Disconnect%s session %s", o->no_block ? "ing" : "ed",
		     s->id ? s->id : "-");
	if (s->user)
		(void)printf(" of %s", s->user);
	(void)printf(", client %s (%s)\n", s->client, s->unit.name);
	(void)fflush(stdout); /* the wait may be long, and be interrupted */
}

static int send_entry(const struct disconnect *d, const struct session *s)
{
	const char *why = d->options->reason, *id = s->id ? s->id : "-";

	return sd_journal_send(
		"MESSAGE=Disconnecting session %s%s%s (client %s) for %s%s%s", id,
		s->user ? " of " : "", s->user ? s->user : "", s->client, d->by,
		why ? ": " : "", why ? why : "", "MESSAGE_ID=" EVENT_DISCONNECT_ID,
		"PRIORITY=%d", LOG_NOTICE, "SYSLOG_IDENTIFIER=novnc-gatectl",
		"NOVNC_GATE_SESSION=%s", id, "NOVNC_GATE_CLIENT=%s", s->client,
		"NOVNC_GATE_BY=%s", d->by, "NOVNC_GATE_REASON=%s", why ? why : "-",
		"NOVNC_GATE_UNIT=%s", s->unit.name, "NOVNC_GATE_INVOCATION=%s",
		s->invocation ? s->invocation : "-", WRITER_MANAGER "=%s",
		WRITER_MANAGER_OF(d->options->user),
		/* the last field is left out without a user: NULL ends the list */
		s->user ? "NOVNC_GATE_USER=%s" : NULL, s->user, NULL);
}

static void write_entry(struct disconnect *d, const struct session *s)
{
	int r = send_entry(d, s);

	/* sd_journal_send() returns 0 without a socket as well */
	if (r == 0 && access(JOURNAL_SOCKET, F_OK) < 0)
		r = -errno;
	if (r < 0 && !d->unlogged)
		(void)fprintf(
			stderr,
			"The journal takes no entry about who has ended session %s: %s\n",
			s->id ? s->id : s->client, strerror(-r));
	d->unlogged = d->unlogged || r < 0;
}

static void on_stop(void *userdata, size_t i, int result)
{
	struct disconnect *d = userdata;
	const struct session *s = d->session[i];

	if (result < 0 || i < d->told)
		return;
	/* when the connection was lost, systemd had the request to stop this one */
	if (result == 0 && d->again && i == d->told)
		result = 1;
	d->told = i + 1;
	if (result == 0)
		(void)fprintf(stderr, "Session %s has ended meanwhile\n",
			      s->id ? s->id : s->client);
	if (result == 0)
		return;
	write_entry(d, s);
	table_text(&d->table, s->id);
	table_text(&d->table, s->user);
	table_text(&d->table, s->client);
	table_bytes(&d->table, s->counted, s->up);
	table_bytes(&d->table, s->counted, s->down);
	table_text(&d->table, s->unit.name);
	table_text(&d->table, s->invocation);
	if (d->options->json == CTL_JSON_OFF)
		say(d->options, s);
}

/* ---- the sessions that match */

/* Returns the exit code; with 0, marked[] has all that are to be ended. */
static int choose(const struct ctl *o, const struct sessions *s, char *words[],
		  bool marked[])
{
	int code = EXIT_SUCCESS;

	for (; *words; words++)
		switch (match_sessions(s, *words, o->all, marked)) {
		case MATCH_NONE:
			(void)fprintf(stderr, "No open session matches %s\n",
				      **words ? *words : "''");
			code = code == EXIT_SUCCESS ? CTL_NO_SUCH : code;
			break;
		case MATCH_ALL:
			if (o->all)
				break;
			(void)fprintf(stderr,
				      "%s matches all %zu open sessions; to disconnect "
				      "them all, add --all\n",
				      *words, s->n);
			code = EXIT_FAILURE;
			break;
		case MATCH_EXACT:
		case MATCH_GLOB: break;
		}
	return code;
}

static int stop_all(sd_bus *bus, void *userdata)
{
	const struct systemd_wait wait = { -1, CLOCK_INFINITY };
	struct disconnect *d = userdata;
	int r = systemd_stop(bus, d->unit, d->n, d->options->no_block ? NULL : &wait,
			     on_stop, d);

	d->again = true;
	return r;
}

static int disconnect(const struct ctl *o, sd_bus **bus, const struct sessions *s,
		      const bool marked[])
{
	struct disconnect d = {
		.options = o,
		.session = memory_array(NULL, s->n, sizeof(*d.session)),
		.unit = memory_array(NULL, s->n, sizeof(*d.unit)),
		.by = caller(),
	};
	int r;

	table_init(&d.table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < s->n; i++)
		if (marked[i]) {
			d.session[d.n] = &s->session[i];
			d.unit[d.n++] = &s->session[i].unit;
		}
	r = systemd_again(o->user, bus, NULL, stop_all, &d);
	if (o->json != CTL_JSON_OFF)
		table_print_json(o->json, table_json(&d.table));
	table_done(&d.table);
	free(d.session);
	free(d.unit);
	free(d.by);
	return r;
}

int ctl_disconnect(const struct ctl *o, char *args[])
{
	struct sessions s = { 0 };
	sd_bus *bus = NULL;
	bool *marked = NULL;
	int code = EXIT_FAILURE, r = systemd_open(o->user, &bus);

	/* all sessions are ended, also if nobody reads the output any more; main() reports the error */
	(void)signal(SIGPIPE, SIG_IGN);
	if (r == 0)
		r = sessions_read_again(o->user, &bus, NULL, SESSIONS_ONLY, true, &s);
	if (r == 0) {
		marked = memory_array(NULL, s.n, sizeof(*marked));
		memset(marked, 0, s.n * sizeof(*marked));
		code = choose(o, &s, args, marked);
		if (code != EXIT_FAILURE)
			r = disconnect(o, &bus, &s, marked);
	}
	if (r < 0)
		(void)fprintf(stderr, "Cannot disconnect: %s\n", systemd_strerror(r));
	free(marked);
	sessions_done(&s);
	sd_bus_flush_close_unref(bus);
	return r < 0 ? EXIT_FAILURE : code;
}
