/* SPDX-License-Identifier: MIT */
#include "ctl/killed.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/events.h"
#include "ctl/memory.h"
#include "ctl/writer.h"
#include "log/ids.h"

/* UNIT_RESULT=, the Result= of systemctl(1); anything else is in systemd.exec(5). */
static const struct {
	const char *result, *reason;
} reasons[] = {
	{ "signal", "the process was killed by a signal" },
	{ "oom-kill", "the process was killed because memory was exhausted" },
	{ "core-dump", "the process crashed" },
	{ "timeout", "the process was killed because it did not stop in time" },
	{ "exit-code", "the process failed with an exit code" },
};

static char *reason_of(const char *result)
{
	for (size_t i = 0; i < COUNT(reasons); i++)
		if (strcmp(reasons[i].result, result) == 0)
			return memory_copy(slice_str(reasons[i].reason));
	return memory_print("the process failed: %s", result);
}

/* The last entry with this field, of this kind and writer. Returns 1 with *ret, 0 or -errno. */
static int last(struct killed *k, const char *name, const char *value, const char *id,
		int (*writer)(sd_journal *j, bool user), struct entry *ret)
{
	int r = k->journal ? 0 : sd_journal_open(&k->journal, SD_JOURNAL_LOCAL_ONLY);

	if (r < 0)
		return r;
	sd_journal_flush_matches(k->journal);
	r = entry_match(k->journal, name, value);
	if (r >= 0)
		r = entry_match(k->journal, "MESSAGE_ID", id);
	if (r >= 0)
		r = writer(k->journal, k->user);
	if (r >= 0)
		r = sd_journal_seek_tail(k->journal);
	if (r >= 0)
		r = sd_journal_previous(k->journal);
	if (r > 0)
		entry_read(k->journal, ret);
	return r;
}

/* Returns 1 if the session was closed before its process ended, 0 or -errno. */
static int was_closed(struct killed *k, const struct entry *opened)
{
	struct entry closed;
	int r = last(k, "NOVNC_GATE_REQUEST_ID", opened->request_id, LOG_ID_CLOSED,
		     writer_gate, &closed);

	if (r <= 0)
		return r;
	r = closed.time_us >= opened->time_us; /* proxies may give an id twice */
	entry_done(&closed);
	return r;
}

static void swap(char **a, char **b)
{
	char *text = *a;

	*a = *b;
	*b = text;
}

int killed_complete(struct killed *k, struct entry *e)
{
	struct entry opened;
	int r = last(k, "_SYSTEMD_INVOCATION_ID", e->ended, LOG_ID_PROXYING, writer_gate,
		     &opened);
	uint64_t begun_us;

	if (r <= 0)
		return r;
	r = was_closed(k, &opened);
	begun_us = opened.time_us < e->time_us ? opened.time_us : e->time_us;
	e->duration_ms = (e->time_us - begun_us) / 1000;
	swap(&e->session, &opened.session);
	swap(&e->request_id, &opened.request_id);
	swap(&e->user, &opened.user);
	swap(&e->client, &opened.client);
	entry_done(&opened);
	free(e->reason);
	e->reason = reason_of(e->result);
	return r < 0 ? r : !r;
}

int killed_find(struct killed *k, const char *invocation, struct entry *ret)
{
	int r = last(k, k->user ? "USER_INVOCATION_ID" : "INVOCATION_ID", invocation,
		     EVENT_KILLED_ID, writer_systemd, ret);

	if (r <= 0)
		return r;
	r = killed_complete(k, ret);
	if (r <= 0)
		entry_done(ret);
	return r;
}

void killed_done(struct killed *k)
{
	sd_journal_close(k->journal);
	k->journal = NULL;
}
