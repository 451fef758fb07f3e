/* SPDX-License-Identifier: MIT */
/* Counts each entry. */
#include <stdlib.h>
#include <string.h>

#include "ctl/entries.h"
#include "ctl/events.h"
#include "ctl/match.h"
#include "ctl/memory.h"
#include "ctl/metrics_events.h"
#include "ctl/open_sessions.h"
#include "ctl/report.h"

static struct open_session *session_make(const struct entry *e)
{
	return open_session_make(e->request_id, e->user,
				 match_address(slice_str(e->client)), e->invocation,
				 e->time_us);
}

/* ---- the end of a session, or of the span */

static size_t bucket(const uint64_t bounds[], uint64_t value)
{
	size_t i = 0;

	while (bounds[i] > 0 && value > bounds[i])
		i++;
	assert(i < REPORT_BUCKETS);
	return i;
}

static void count_reason(struct tally *t, const char *label, const char *sentence,
			 uint64_t time_us)
{
	char *text = memory_print("%s\t%s", label, sentence);
	struct tally_row *row = tally_row(t, text);

	row->n++;
	row->last_us = time_us;
	free(text);
}

static void count_who(struct tally *t, const char *name, const struct entry *closed,
		      uint64_t ms, uint64_t until_us)
{
	struct tally_row *row = tally_row(t, name);

	row->n++;
	row->ms += ms;
	row->up += closed ? closed->up : 0;
	row->down += closed ? closed->down : 0;
	row->last_us = until_us > row->last_us ? until_us : row->last_us;
}

static void count_end(struct report *r, const struct entry *closed)
{
	r->ended++;
	r->durations[bucket(metrics_durations_ms, closed->duration_ms)]++;
	count_reason(&r->ends, event_label(closed), closed->reason, closed->time_us);
	if (event_kind(closed) == EVENT_KILLED)
		return; /* nobody knows its bytes */
	r->up += closed->up;
	r->down += closed->down;
	r->ups[bucket(metrics_bytes, closed->up)]++;
	r->downs[bucket(metrics_bytes, closed->down)]++;
}

/* closed: the entry about its end; NULL: it has none. Takes over *s. */
static void session_count(struct report *r, struct open_session *s, uint64_t until_us,
			  const struct entry *closed)
{
	uint64_t from_us = s->begun_us > r->since_us ? s->begun_us : r->since_us;
	uint64_t ms = until_us > from_us ? (until_us - from_us) / 1000 : 0;

	if (r->inside) {
		r->ms += ms;
		count_who(&r->users, s->user, closed, ms, until_us);
		count_who(&r->clients, s->client, closed, ms, until_us);
	}
	if (r->inside && closed)
		count_end(r, closed);
	open_session_free(s);
}

/* All sessions that are open end now, with the machine. */
static void lose_all(struct report *r, uint64_t now_us)
{
	struct open_session *s;

	while ((s = open_sessions_take_any(&r->open))) {
		session_count(r, s, now_us, NULL);
		if (r->inside)
			count_reason(&r->ends, "lost",
				     "the machine was restarted without a closing entry",
				     now_us);
	}
}

/* ---- time */

static void note_most(struct report *r, struct slot *slot)
{
	if (r->open.n > slot->most)
		slot->most = r->open.n;
}

/* Each slot up to that time has at least the sessions that are open now. */
static void advance(struct report *r, uint64_t now_us)
{
	if (r->since_us == 0)
		r->since_us = now_us;
	if (now_us < r->since_us)
		return;
	if (!r->inside) {
		slots_init(&r->slots, r->since_us, r->until_us);
		r->inside = true;
		r->at = 0;
		r->open_at_begin = r->open.n;
		note_most(r, &r->slots.slot[0]);
	}
	for (size_t to = slots_find(&r->slots, now_us); r->at < to;)
		note_most(r, &r->slots.slot[++r->at]);
}

/* ---- entries */

static void count_begun(struct report *r, uint64_t time_us)
{
	r->begun++;
	r->slots.slot[slots_find(&r->slots, time_us)].begun++;
}

static void add_opened(struct report *r, const struct entry *e)
{
	struct open_session *earlier = open_sessions_take(&r->open, e->request_id);

	if (earlier) /* the same id again: the end of the first is not known */
		session_count(r, earlier, e->time_us, NULL);
	if (r->inside)
		count_begun(r, e->time_us);
	open_sessions_add(&r->open, session_make(e));
	if (r->inside)
		note_most(r, &r->slots.slot[r->at]);
}

/* Its opening entry is not in the journal any more. */
static struct open_session *session_from_end(struct report *r, const struct entry *e)
{
	struct open_session *s = session_make(e);
	uint64_t us = e->duration_ms * 1000;

	s->begun_us = us < e->time_us ? e->time_us - us : 0;
	if (!r->inside)
		return s;
	if (s->begun_us >= r->since_us)
		count_begun(r, s->begun_us);
	for (size_t i = slots_find(&r->slots, s->begun_us);
	     i <= slots_find(&r->slots, e->time_us); i++)
		r->slots.slot[i].most++;
	return s;
}

static void add_closed(struct report *r, const struct entry *e)
{
	struct open_session *s = open_sessions_take(&r->open, e->request_id);

	if (event_kind(e) == EVENT_CLOSED && e->status != 101) { /* it was not opened */
		if (r->inside) {
			r->not_opened++;
			count_reason(&r->ends, event_label(e), e->reason, e->time_us);
		}
		if (s)
			open_session_free(s);
		return;
	}
	session_count(r, s ? s : session_from_end(r, e), e->time_us, e);
}

static void cut_free(struct report_cut *c)
{
	free(c->session);
	free(c->user);
	free(c->client);
	free(c->by);
	free(c->reason);
}

static void add_cut(struct report *r, const struct entry *e)
{
	struct report_cut *c = &r->cuts[r->cuts_made++ % REPORT_CUTS];

	cut_free(c); /* empty, or the oldest */
	*c = (struct report_cut){
		.time_us = e->time_us,
		.session = memory_copy(slice_str(e->session)),
		.user = memory_copy(slice_str(e->user)),
		.client = memory_copy(slice_str(e->client)),
		.by = entry_by(e),
		.reason = memory_copy(slice_str(e->reason)),
	};
}

static void add_failure(struct report *r, const struct entry *e)
{
	if (event_is_not_opened(e))
		r->not_opened++;
	count_reason(&r->failures, event_label(e), e->reason, e->time_us);
}

static void change_boot(struct report *r, const struct entry *e)
{
	if (r->boot && strcmp(r->boot, e->boot) == 0)
		return;
	/* no session stays open when the machine restarts, also if there was no time for its entry */
	lose_all(r, r->last_us);
	free(r->boot);
	r->boot = memory_copy(slice_str(e->boot));
}

void report_init(struct report *ret, uint64_t since_us, uint64_t until_us)
{
	*ret = (struct report){
		.since_us = since_us,
		.until_us = until_us,
		.empty = true,
	};
}

void report_add(struct report *r, const struct entry *e)
{
	if (e->time_us > r->until_us)
		return;
	change_boot(r, e);
	advance(r, e->time_us);
	r->last_us = e->time_us;
	r->empty = r->empty && !r->inside;
	switch (event_kind(e)) {
	case EVENT_PROXYING: add_opened(r, e); return;
	case EVENT_CLOSED:
	case EVENT_KILLED: add_closed(r, e); return;
	case EVENT_HANDLING:
	case EVENT_OTHER: return;
	case EVENT_REFUSAL:
	case EVENT_FAILURE:
	case EVENT_DISCONNECT: break;
	}
	if (!r->inside)
		return;
	if (event_kind(e) == EVENT_REFUSAL)
		count_reason(&r->refusals, event_label(e), e->reason, e->time_us);
	else if (event_kind(e) == EVENT_FAILURE)
		add_failure(r, e);
	else
		add_cut(r, e);
}

/*
 * Its end is not known: it only counts where it began. It was in the numbers of all later slots, whose largest ones
 * are one less without it.
 */
static void take_back(struct report *r, struct open_session *s)
{
	bool before = s->begun_us < r->since_us;

	for (size_t i = before ? 0 : slots_find(&r->slots, s->begun_us) + 1; i <= r->at;
	     i++)
		r->slots.slot[i].most--;
	if (before) {
		r->open_at_begin--;
		open_session_free(s);
		return;
	}
	count_reason(&r->ends, "unknown",
		     "it is not open any more, but no entry says when it ended",
		     s->begun_us);
	session_count(r, s, s->begun_us, NULL);
}

void report_end(struct report *r,
		bool (*is_open)(void *userdata, const struct open_session *s),
		void *userdata)
{
	struct open_session *s;

	advance(r, r->until_us);
	while ((s = open_sessions_take_any(&r->open))) {
		if (is_open && !is_open(userdata, s)) {
			take_back(r, s);
			continue;
		}
		r->open_at_end++;
		session_count(r, s, r->until_us, NULL);
	}
	r->empty = r->empty && r->open_at_begin == 0;
}

void report_done(struct report *r)
{
	open_sessions_done(&r->open);
	free(r->boot);
	for (size_t i = 0; i < REPORT_CUTS; i++)
		cut_free(&r->cuts[i]);
	tally_done(&r->users);
	tally_done(&r->clients);
	tally_done(&r->ends);
	tally_done(&r->refusals);
	tally_done(&r->failures);
	*r = (struct report){ 0 };
}
