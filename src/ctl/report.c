/* SPDX-License-Identifier: MIT */
/* `novnc-gatectl report`: a page about the sessions of some time, from the journal. */
#include "ctl/report.h"

#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/entries.h"
#include "ctl/events.h"
#include "ctl/file.h"
#include "ctl/memory.h"
#include "ctl/sessions.h"
#include "ctl/timestamp.h"

#define FILE_NAME "report.html"

/* ---- what is read */

/* --since= and --until=. Returns false after a message. */
static bool span_read(const struct ctl *o, uint64_t *ret_since_us, uint64_t *ret_until_us)
{
	uint64_t now_us;

	*ret_since_us = 0;
	*ret_until_us = UINT64_MAX;
	if (o->since && !timestamp_parse("since", o->since, ret_since_us))
		return false;
	if (o->until && !timestamp_parse("until", o->until, ret_until_us))
		return false;
	now_us = timestamp_now_us();
	if (*ret_until_us > now_us)
		*ret_until_us = now_us; /* no session has been open longer */
	if (*ret_since_us <= *ret_until_us)
		return true;
	(void)fprintf(stderr, *ret_since_us > now_us
				      ? "--since= is in the future\n"
				      : "--since= is later than --until=\n");
	return false;
}

static void add(void *report, const struct entry *e)
{
	report_add(report, e);
}

/* Reads from the first entry, for sessions that were open when the span began. */
static int journal_read(const struct ctl *o, struct report *r)
{
	const struct entries_query q = {
		.user = o->user,
		.kinds = 1 << EVENT_PROXYING | 1 << EVENT_CLOSED | 1 << EVENT_REFUSAL |
			 1 << EVENT_FAILURE | 1 << EVENT_DISCONNECT | 1 << EVENT_KILLED,
		.until_us = r->until_us,
	};
	return entries_each(&q, add, r, NULL);
}

/* ---- sessions without an end */

/* The open sessions, asked of systemd before the journal is read: one that ends later may have no entry yet. */
struct live {
	uint64_t time_us;  /* when it was asked; 0: it was not, or it has not answered */
	char **invocation; /* owned; sorted */
	size_t n;
};

static void live_free(struct live *live)
{
	for (size_t i = 0; i < live->n; i++)
		free(live->invocation[i]);
	free(live->invocation);
	*live = (struct live){ 0 };
}

static int live_read(sd_bus *bus, void *userdata)
{
	struct live *live = userdata;

	live_free(live); /* of an earlier call */
	live->time_us = timestamp_now_us();
	return sessions_invocations(bus, &live->invocation, &live->n);
}

static void live_ask(const struct ctl *o, struct live *ret)
{
	sd_bus *bus = NULL;

	*ret = (struct live){ 0 };
	if (systemd_open(o->user, &bus) < 0 ||
	    systemd_again(o->user, &bus, NULL, live_read, ret) < 0)
		live_free(ret);
	sd_bus_flush_close_unref(bus);
}

static bool is_open(void *userdata, const struct open_session *s)
{
	const struct live *live = userdata;

	return s->begun_us >= live->time_us || s->invocation[0] == '\0' ||
	       sessions_has_invocation(live->invocation, live->n, s->invocation);
}

/* ---- where it is written */

/* Returns the exit code. */
static int deliver(const struct ctl *o, const struct report *r, struct slice page)
{
	const char *path = o->output ? o->output : FILE_NAME;
	bool standard = strcmp(path, "-") == 0;
	int code;

	code = standard ? file_write(STDOUT_FILENO, page) : file_put(path, page);
	if (code < 0)
		(void)fprintf(stderr, "Cannot write %s: %s\n",
			      standard ? "to standard output" : path, strerror(-code));
	if (code < 0 || standard)
		return code < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	(void)printf("Wrote %s: %" PRIu64 " sessions begun, %" PRIu64 " ended\n", path,
		     r->begun, r->ended);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- the command */

static int report_make(const struct ctl *o, const struct report *r)
{
	char host[HOST_NAME_MAX + 1] = "", *page = NULL;
	size_t len;
	FILE *to = open_memstream(&page, &len);
	int code;

	if (!to)
		memory_none();
	(void)gethostname(host, sizeof(host) - 1);
	report_write(r, host, to);
	if (fclose(to) != 0)
		memory_none();
	code = deliver(o, r, (struct slice){ page, len });
	free(page);
	return code;
}

int ctl_report(const struct ctl *o, char *args[])
{
	struct report r;
	struct live live;
	uint64_t since_us, until_us;
	int code = EXIT_FAILURE, error;

	(void)args;
	(void)setlocale(LC_TIME, "C"); /* the page is in English */
	live_ask(o, &live);
	if (!span_read(o, &since_us, &until_us)) {
		live_free(&live);
		return EXIT_FAILURE;
	}
	report_init(&r, since_us, until_us);
	error = journal_read(o, &r);
	/* at an earlier time, a session could be open that is not any more */
	report_end(&r, until_us >= live.time_us ? is_open : NULL, &live);
	live_free(&live);
	if (error < 0)
		(void)fprintf(stderr, "Cannot read the journal: %s\n", strerror(-error));
	else
		code = report_make(o, &r);
	if (error == 0 && r.empty && !entries_are_readable())
		(void)fputs(ENTRIES_HINT "\n", stderr);
	report_done(&r);
	return code;
}
