/* SPDX-License-Identifier: MIT */
#include "ctl/sessions.h"

#include <stdlib.h>

#include "ctl/memory.h"
#include "ctl/tcp.h"

static void session_done(struct session *s)
{
	free(s->unit.name);
	free(s->unit.path);
	free(s->unit.active);
	free(s->status);
	free(s->id);
	free(s->user);
	free(s->client);
	free(s->invocation);
}

void sessions_done(struct sessions *s)
{
	for (size_t i = 0; i < s->n; i++)
		session_done(&s->session[i]);
	free(s->session);
	*s = (struct sessions){ 0 };
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct session *)a)->unit.name,
		      ((const struct session *)b)->unit.name);
}

struct session *sessions_find(const struct sessions *s, const char *unit)
{
	const struct session key = { .unit.name = (char *)unit };

	return s->n == 0 ? NULL : bsearch(&key, s->session, s->n, sizeof(key), compare);
}

/* ---- from systemd */

static int read_units(sd_bus *bus, struct sessions *ret)
{
	static const char *const patterns[] = { PARSE_CONNECTIONS, NULL };
	/* not those that are being stopped: their connections are closed */
	static const char *const states[] = { "active", NULL };
	struct systemd_unit *units;
	int n = systemd_units(bus, patterns, states, &units);

	if (n < 0)
		return n;
	*ret = (struct sessions){
		.session = memory_array(NULL, (size_t)n, sizeof(struct session)),
		.n = (size_t)n,
	};
	for (int i = 0; i < n; i++)
		ret->session[i] = (struct session){ .unit = units[i] };
	free(units);
	if (n > 0)
		qsort(ret->session, ret->n, sizeof(ret->session[0]), compare);
	return 0;
}

/* A session's data does not change until its TCP connection ends. */
static void take_known(struct sessions *from, const struct tcp *tcp, struct sessions *to)
{
	for (size_t i = 0; i < to->n; i++) {
		struct session *s = &to->session[i], old;
		struct session *known = sessions_find(from, s->unit.name);

		if (!known || !known->has_ends || !tcp_find(tcp, &known->ends))
			continue;
		old = *known;
		known->unit = s->unit; /* the caller frees it with the others in `from` */
		known->status = known->id = known->user = NULL;
		known->client = known->invocation = NULL;
		*s = old;
	}
}

/* Reads the properties of those that are not known. */
static int read_properties(sd_bus *bus, bool invocations, struct sessions *s)
{
	struct systemd_get *gets = memory_array(NULL, 3 * s->n, sizeof(*gets));
	size_t n = 0;
	int r;

	for (size_t i = 0; i < s->n; i++) {
		struct session *one = &s->session[i];
		const char *path = one->unit.path;

		if (one->status)
			continue;
		gets[n++] = (struct systemd_get){ path, SYSTEMD_SERVICE, "StatusText",
						  's', &one->status };
		gets[n++] =
			(struct systemd_get){ path, SYSTEMD_UNIT, "ActiveEnterTimestamp",
					      't', &one->since_us };
		if (invocations)
			gets[n++] =
				(struct systemd_get){ path, SYSTEMD_UNIT, "InvocationID",
						      'y', &one->invocation };
	}
	r = systemd_read(bus, gets, n);
	free(gets);
	return r;
}

/* ---- what the status says */

static char *copy_or_none(struct slice text)
{
	return text.len > 0 ? memory_copy(text) : NULL;
}

static void describe(struct session *s)
{
	struct parse_status status;

	if (s->client)
		return; /* known already */
	/* of a unit that has ended meanwhile, systemd has loaded the template: it was never active */
	if (!s->status || s->since_us == 0)
		return;
	parse_status(slice_str(s->status), &status);
	if (status.closed)
		return;
	s->is_session = status.is_session;
	s->has_ends = status.has_ends;
	s->ends = status.ends;
	s->id = copy_or_none(status.id);
	s->user = copy_or_none(status.user);
	s->client = status.client.len > 0 ? memory_copy(status.client)
					  : parse_unit_client(s->unit.name);
}

/* Removes those that have ended meanwhile and, for SESSIONS_ONLY, what is no session. */
static void filter(struct sessions *s, enum sessions_which which)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct session *one = &s->session[i];

		if (one->client && (which == SESSIONS_ALL || one->is_session))
			s->session[kept++] = *one;
		else
			session_done(one);
	}
	s->n = kept;
}

/* ---- from the kernel */

static void count(struct sessions *s, const struct tcp *tcp)
{
	for (size_t i = 0; i < s->n; i++) {
		struct session *one = &s->session[i];
		const struct tcp_connection *c =
			one->has_ends ? tcp_find(tcp, &one->ends) : NULL;

		one->counted = c != NULL;
		if (!c)
			continue;
		one->up = c->sent;
		one->down = c->received;
		one->idle_ms = c->idle_ms;
	}
}

int sessions_read(sd_bus *bus, enum sessions_which which, bool invocations,
		  struct sessions *s)
{
	struct sessions now = { 0 };
	struct tcp tcp = { 0 };
	int r = read_units(bus, &now);

	if (r == 0 && s->n > 0 && tcp_read(&tcp) == 0)
		take_known(s, &tcp, &now);
	tcp_done(&tcp);
	if (r == 0)
		r = read_properties(bus, invocations, &now);
	sessions_done(s);
	if (r < 0) {
		sessions_done(&now);
		return r;
	}
	for (size_t i = 0; i < now.n; i++)
		describe(&now.session[i]);
	filter(&now, which);
	/* after the statuses: a session may open in between */
	if (tcp_read(&tcp) == 0)
		count(&now, &tcp); /* else "-" */
	tcp_done(&tcp);
	*s = now;
	return 0;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int sessions_invocations(sd_bus *bus, char ***ret, size_t *ret_n)
{
	static const char *const patterns[] = { PARSE_CONNECTIONS, NULL };
	struct systemd_unit *units;
	struct systemd_get *gets;
	int n = systemd_units(bus, patterns, NULL, &units), r;

	if (n < 0)
		return n;
	*ret = memory_array(NULL, (size_t)n, sizeof(char *));
	gets = memory_array(NULL, (size_t)n, sizeof(*gets));
	for (int i = 0; i < n; i++) {
		(*ret)[i] = NULL;
		gets[i] = (struct systemd_get){ units[i].path, SYSTEMD_UNIT,
						"InvocationID", 'y', &(*ret)[i] };
	}
	r = systemd_read(bus, gets, (size_t)n);
	free(gets);
	systemd_units_done(units, n);
	for (int i = 0; i < n; i++)
		if (!(*ret)[i]) /* it has ended meanwhile */
			(*ret)[i] = memory_copy(SLICE(""));
	if (n > 0)
		qsort(*ret, (size_t)n, sizeof(char *), compare_texts);
	*ret_n = (size_t)n;
	return r;
}

bool sessions_has_invocation(char *const list[], size_t n, const char *invocation)
{
	return n > 0 &&
	       bsearch(&invocation, list, n, sizeof(*list), compare_texts) != NULL;
}

struct query {
	enum sessions_which which;
	bool invocations;
	struct sessions *s;
};

static int read_once(sd_bus *bus, void *userdata)
{
	const struct query *q = userdata;

	return sessions_read(bus, q->which, q->invocations, q->s);
}

int sessions_read_again(bool user, sd_bus **bus, const struct systemd_wait *wait,
			enum sessions_which which, bool invocations, struct sessions *s)
{
	struct query q = { which, invocations, s };

	return systemd_again(user, bus, wait, read_once, &q);
}
