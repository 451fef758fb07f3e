/* SPDX-License-Identifier: MIT */
#include "ctl/entries.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/types.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "ctl/events.h"
#include "ctl/memory.h"

#define GATE_USER "novnc-gate"

/* ---- one entry */

static const struct {
	const char *name;
	size_t offset; /* of a char * in struct entry */
} texts[] = {
	{ "MESSAGE_ID", offsetof(struct entry, id) },
	{ "MESSAGE", offsetof(struct entry, message) },
	{ "SYSLOG_IDENTIFIER", offsetof(struct entry, program) },
	{ "_PID", offsetof(struct entry, pid) },
	{ "_UID", offsetof(struct entry, uid) },
	{ "_BOOT_ID", offsetof(struct entry, boot) },
	{ "NOVNC_GATE_SESSION", offsetof(struct entry, session) },
	{ "NOVNC_GATE_REQUEST_ID", offsetof(struct entry, request_id) },
	{ "NOVNC_GATE_USER", offsetof(struct entry, user) },
	{ "NOVNC_GATE_CLIENT", offsetof(struct entry, client) },
	{ "NOVNC_GATE_REASON", offsetof(struct entry, reason) },
	{ "NOVNC_GATE_BY", offsetof(struct entry, by) },
};

static const struct {
	const char *name;
	size_t offset; /* of a uint64_t */
} numbers[] = {
	/* when it was sent, which the kernel notes */
	{ "_SOURCE_REALTIME_TIMESTAMP", offsetof(struct entry, time_us) },
	{ "NOVNC_GATE_STATUS", offsetof(struct entry, status) },
	{ "NOVNC_GATE_UP_BYTES", offsetof(struct entry, up) },
	{ "NOVNC_GATE_DOWN_BYTES", offsetof(struct entry, down) },
	{ "NOVNC_GATE_DURATION_MS", offsetof(struct entry, duration_ms) },
};

static char **text_of(struct entry *e, size_t i)
{
	return (char **)((char *)e + texts[i].offset);
}

static char *value_copy(struct slice value)
{
	char *text = memory_copy(value);

	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' '; /* they would control the terminal */
	return text;
}

static void take_field(struct entry *e, struct slice name, struct slice value)
{
	for (size_t i = 0; i < COUNT(texts); i++)
		if (!*text_of(e, i) && slice_eq(name, slice_str(texts[i].name))) {
			*text_of(e, i) = value_copy(value);
			return;
		}
	for (size_t i = 0; i < COUNT(numbers); i++)
		if (slice_eq(name, slice_str(numbers[i].name))) {
			char *digits = memory_copy(value);

			*(uint64_t *)((char *)e + numbers[i].offset) =
				strtoull(digits, NULL, 10);
			free(digits);
		}
}

static void entry_read(sd_journal *j, struct entry *ret)
{
	const void *data;
	size_t len;

	*ret = (struct entry){ 0 };
	SD_JOURNAL_FOREACH_DATA(j, data, len)
	{
		struct slice field = { data, len };
		size_t end = slice_find(field, '=');

		if (end < len)
			take_field(ret, (struct slice){ data, end },
				   slice_from(field, end + 1));
	}
	for (size_t i = 0; i < COUNT(texts); i++)
		if (!*text_of(ret, i))
			*text_of(ret, i) = memory_copy(SLICE(""));
	if (ret->time_us == 0)
		(void)sd_journal_get_realtime_usec(
			j, &ret->time_us); /* 0 if it is damaged */
}

static void entry_done(struct entry *e)
{
	for (size_t i = 0; i < COUNT(texts); i++)
		free(*text_of(e, i));
}

char *entry_by(const struct entry *e)
{
	const struct passwd *user = NULL;

	if (strcmp(e->uid, "0") == 0)
		return memory_copy(slice_str(e->by));
	if (e->uid[0])
		user = getpwuid((uid_t)strtoul(e->uid, NULL, 10));
	return memory_copy(slice_str(user ? user->pw_name : e->uid));
}

/* ---- the last ones of a connection or session */

static int match(sd_journal *j, const char *name, const char *value)
{
	char *text = memory_print("%s=%s", name, value);
	int r = sd_journal_add_match(j, text, 0);

	free(text);
	return r;
}

/* The user that runs the gate: the kernel tells the journal who it is, so nobody can forge its entries. */
static int match_gate(sd_journal *j, bool user)
{
	const struct passwd *gate = user ? NULL : getpwnam(GATE_USER);
	char *uid = memory_print("%u", gate ? gate->pw_uid : getuid());
	int r = match(j, "_UID", uid);

	free(uid);
	return r;
}

/* An administrator who disconnects can be any user; but only the caller ends sessions of the caller's gate. */
static int match_administrator(sd_journal *j, bool user)
{
	return user ? match_gate(j, user) : 0;
}

static int select_session(sd_journal *j, bool user, const char *session)
{
	int r = match(j, "NOVNC_GATE_SESSION", session);

	if (r >= 0)
		r = match_gate(j, user);
	if (r >= 0)
		r = sd_journal_add_disjunction(j);
	if (r >= 0)
		r = match(j, "NOVNC_GATE_SESSION", session);
	if (r >= 0)
		r = match(j, "MESSAGE_ID", EVENT_DISCONNECT_ID);
	return r < 0 ? r : match_administrator(j, user);
}

static int select_connection(sd_journal *j, const char *invocation)
{
	int r = match(j, "_SYSTEMD_INVOCATION_ID", invocation);

	if (r >= 0)
		r = sd_journal_add_disjunction(j);
	return r < 0 ? r : match(j, "NOVNC_GATE_INVOCATION", invocation);
}

int entries_read(bool user, const char *invocation, const char *session, size_t most,
		 struct entries *ret)
{
	sd_journal *j = NULL;
	int r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);

	*ret = (struct entries){ 0 };
	if (r >= 0)
		r = invocation ? select_connection(j, invocation)
			       : select_session(j, user, session);
	if (r >= 0)
		r = sd_journal_seek_tail(j);
	if (r >= 0 && most > 0)
		r = sd_journal_previous_skip(j, most);
	while (r > 0) {
		ret->entry = memory_array(ret->entry, ret->n + 1, sizeof(*ret->entry));
		entry_read(j, &ret->entry[ret->n++]);
		r = sd_journal_next(j);
	}
	sd_journal_close(j);
	return r < 0 ? r : 0;
}

void entries_done(struct entries *e)
{
	for (size_t i = 0; i < e->n; i++)
		entry_done(&e->entry[i]);
	free(e->entry);
	*e = (struct entries){ 0 };
}

bool entries_are_readable(void)
{
	static const char *const directories[] = { "/var/log/journal",
						   "/run/log/journal" };
	char id[SD_ID128_STRING_MAX];
	sd_id128_t machine;
	bool denied = false;

	if (sd_id128_get_machine(&machine) < 0)
		return true;
	(void)sd_id128_to_string(machine, id);
	for (size_t i = 0; i < COUNT(directories); i++) {
		char *path = memory_print("%s/%s/system.journal", directories[i], id);

		denied = denied || (access(path, R_OK) < 0 && errno == EACCES);
		free(path);
	}
	return !denied;
}

/* ---- all of some kinds */

static int select_kinds(sd_journal *j, unsigned kinds, bool disconnect)
{
	int r = 0;

	for (const struct event *e = events; r >= 0 && e->id; e++)
		if (kinds & 1U << e->kind && (e->kind == EVENT_DISCONNECT) == disconnect)
			r = match(j, "MESSAGE_ID", e->id);
	return r;
}

static int select_events(sd_journal *j, const struct entries_query *q)
{
	int r = match_gate(j, q->user);

	if (r >= 0)
		r = select_kinds(j, q->kinds, false);
	if (r >= 0)
		r = sd_journal_add_disjunction(j);
	if (r >= 0)
		r = select_kinds(j, q->kinds, true);
	return r < 0 || !(q->kinds & 1U << EVENT_DISCONNECT)
		       ? r
		       : match_administrator(j, q->user);
}

/*
 * Goes to the first entry that is wanted. If the one with the cursor is not there any more, that is the first
 * one after it. Returns as sd_journal_next().
 */
static int go_on(sd_journal *j, const char *cursor)
{
	int r;

	if (!cursor) {
		r = sd_journal_seek_head(j);
		return r < 0 ? r : sd_journal_next(j);
	}
	r = sd_journal_seek_cursor(j, cursor);
	if (r >= 0)
		r = sd_journal_next(j);
	if (r > 0 && sd_journal_test_cursor(j, cursor) > 0)
		r = sd_journal_next(j);
	return r;
}

static bool is_late(sd_journal *j, uint64_t until_us)
{
	uint64_t time_us;

	return sd_journal_get_realtime_usec(j, &time_us) >= 0 && time_us > until_us;
}

int entries_each(const struct entries_query *q,
		 void (*on)(void *userdata, const struct entry *e), void *userdata,
		 char **ret_cursor)
{
	sd_journal *j = NULL;
	char *cursor = NULL;
	struct entry e;
	size_t n = 0;
	int r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);

	if (r >= 0)
		r = select_events(j, q);
	if (r >= 0)
		r = go_on(j, q->cursor);
	while (r > 0 && !is_late(j, q->until_us) && (q->most == 0 || n++ < q->most)) {
		entry_read(j, &e);
		on(userdata, &e);
		entry_done(&e);
		free(cursor);
		cursor = NULL;
		if (ret_cursor)
			r = sd_journal_get_cursor(j, &cursor);
		if (r >= 0)
			r = sd_journal_next(j);
	}
	sd_journal_close(j);
	if (ret_cursor)
		*ret_cursor = cursor;
	return r < 0 ? r : q->most > 0 && n > q->most;
}
