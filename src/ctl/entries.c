/* SPDX-License-Identifier: MIT */
#include "ctl/entries.h"

#include <stdlib.h>
#include <systemd/sd-journal.h>

#include "ctl/memory.h"

/* The value of a field; "" if the entry does not have it. */
static char *field(sd_journal *j, const char *name)
{
	const void *data;
	size_t len, prefix = strlen(name) + 1; /* "NAME=" */
	char *text;

	if (sd_journal_get_data(j, name, &data, &len) < 0 || len < prefix)
		return memory_copy(SLICE(""));
	text = memory_copy((struct slice){ (const char *)data + prefix, len - prefix });
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' '; /* they would control the terminal */
	return text;
}

static void take(sd_journal *j, struct entries *ret)
{
	struct entry *e;

	ret->entry = memory_array(ret->entry, ret->n + 1, sizeof(*e));
	e = &ret->entry[ret->n++];
	*e = (struct entry){
		.program = field(j, "SYSLOG_IDENTIFIER"),
		.pid = field(j, "_PID"),
		.message = field(j, "MESSAGE"),
		.id = field(j, "MESSAGE_ID"),
	};
	(void)sd_journal_get_realtime_usec(j, &e->time_us); /* 0 if it is damaged */
}

static int match(sd_journal *j, const char *name, const char *value)
{
	char *text = memory_print("%s=%s", name, value);
	int r = sd_journal_add_match(j, text, 0);

	free(text);
	return r;
}

static int select_entries(sd_journal *j, const char *invocation, const char *session)
{
	int r;

	if (!invocation)
		return match(j, "NOVNC_GATE_SESSION", session);
	r = match(j, "_SYSTEMD_INVOCATION_ID", invocation);
	if (r >= 0)
		r = sd_journal_add_disjunction(j);
	return r < 0 ? r : match(j, "NOVNC_GATE_INVOCATION", invocation);
}

int entries_read(const char *invocation, const char *session, size_t most,
		 struct entries *ret)
{
	sd_journal *j = NULL;
	int r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);

	*ret = (struct entries){ 0 };
	if (r >= 0)
		r = select_entries(j, invocation, session);
	if (r >= 0)
		r = sd_journal_seek_tail(j);
	if (r >= 0 && most > 0)
		r = sd_journal_previous_skip(j, most);
	while (r > 0) {
		take(j, ret);
		r = sd_journal_next(j);
	}
	sd_journal_close(j);
	return r < 0 ? r : 0;
}

void entries_done(struct entries *e)
{
	for (size_t i = 0; i < e->n; i++) {
		free(e->entry[i].program);
		free(e->entry[i].pid);
		free(e->entry[i].message);
		free(e->entry[i].id);
	}
	free(e->entry);
	*e = (struct entries){ 0 };
}
