/* SPDX-License-Identifier: MIT */
#include "ctl/entry.h"

#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/types.h>
#include <systemd/sd-journal.h>

#include "ctl/memory.h"

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
	{ "_SYSTEMD_INVOCATION_ID", offsetof(struct entry, invocation) },
	{ "NOVNC_GATE_SESSION", offsetof(struct entry, session) },
	{ "NOVNC_GATE_REQUEST_ID", offsetof(struct entry, request_id) },
	{ "NOVNC_GATE_USER", offsetof(struct entry, user) },
	{ "NOVNC_GATE_CLIENT", offsetof(struct entry, client) },
	{ "NOVNC_GATE_REASON", offsetof(struct entry, reason) },
	{ "NOVNC_GATE_BY", offsetof(struct entry, by) },
	/* of the service manager of the system, and of a user's */
	{ "INVOCATION_ID", offsetof(struct entry, ended) },
	{ "USER_INVOCATION_ID", offsetof(struct entry, ended) },
	{ "UNIT_RESULT", offsetof(struct entry, result) },
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

void entry_read(sd_journal *j, struct entry *ret)
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

void entry_done(struct entry *e)
{
	for (size_t i = 0; i < COUNT(texts); i++) {
		free(*text_of(e, i));
		*text_of(e, i) = NULL; /* two rows can have the same place */
	}
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

int entry_match(sd_journal *j, const char *name, const char *value)
{
	char *text = memory_print("%s=%s", name, value);
	int r = sd_journal_add_match(j, text, 0);

	free(text);
	return r;
}
