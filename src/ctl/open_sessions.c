/* SPDX-License-Identifier: MIT */
#include "ctl/open_sessions.h"

#include <search.h>
#include <stdlib.h>

#include "ctl/memory.h"

struct open_session *open_session_make(const char *request_id, const char *user,
				       struct slice client, const char *invocation,
				       uint64_t begun_us)
{
	struct open_session *s = memory_array(NULL, 1, sizeof(*s));

	*s = (struct open_session){
		.request_id = memory_copy(slice_str(request_id)),
		.user = memory_copy(slice_str(user)),
		.client = memory_copy(client),
		.invocation = memory_copy(slice_str(invocation)),
		.begun_us = begun_us,
	};
	return s;
}

void open_session_free(struct open_session *s)
{
	free(s->request_id);
	free(s->user);
	free(s->client);
	free(s->invocation);
	free(s);
}

static int by_request(const void *a, const void *b)
{
	return strcmp(((const struct open_session *)a)->request_id,
		      ((const struct open_session *)b)->request_id);
}

void open_sessions_add(struct open_sessions *all, struct open_session *s)
{
	if (all->n == OPEN_SESSIONS_MAX) {
		open_session_free(s);
		return;
	}
	if (!tsearch(s, &all->tree, by_request))
		memory_none();
	all->n++;
}

static struct open_session *take(struct open_sessions *all, struct open_session *s)
{
	(void)tdelete(s, &all->tree, by_request);
	all->n--;
	return s;
}

struct open_session *open_sessions_take(struct open_sessions *all, const char *request_id)
{
	struct open_session wanted = { .request_id = (char *)request_id };
	struct open_session **found = tfind(&wanted, &all->tree, by_request);

	return found ? take(all, *found) : NULL;
}

struct open_session *open_sessions_take_any(struct open_sessions *all)
{
	/* a node begins with the pointer to what is in it */
	return all->tree ? take(all, *(struct open_session **)all->tree) : NULL;
}

static void free_node(void *s)
{
	open_session_free(s);
}

void open_sessions_done(struct open_sessions *all)
{
	tdestroy(all->tree, free_node);
	*all = (struct open_sessions){ 0 };
}
