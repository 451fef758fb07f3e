/* SPDX-License-Identifier: MIT */
#include "ctl/match.h"

#include <fnmatch.h>
#include <stdlib.h>

#include "ctl/memory.h"
#include "log/log.h"

static bool equal(const char *word, const char *text)
{
	return strcmp(word, text) == 0;
}

static bool globs(const char *word, const char *text)
{
	return fnmatch(word, text, 0) == 0;
}

struct slice match_address(struct slice client)
{
	const char *colon = client.len > 0 ? memrchr(client.p, ':', client.len) : NULL;
	struct slice host = client;

	if (!colon)
		return client;
	host.len = (size_t)(colon - client.p);
	if (host.len > 2 && host.p[0] == '[' && host.p[host.len - 1] == ']')
		return (struct slice){ host.p + 1, host.len - 2 };
	/* several colons without brackets: an address alone, that a proxy has named */
	return slice_find(host, ':') < host.len ? client : host;
}

/* Cuts no \xNN apart, as put_escaped() in log.c. */
char *match_cut(const char *word)
{
	size_t len = strlen(word), next = 0, kept = 0;

	if (len <= LOG_VALUE_MAX)
		return memory_copy(slice_str(word));
	while (next <= LOG_VALUE_MAX - strlen("...")) {
		kept = next;
		next += strncmp(word + next, "\\x", 2) == 0 ? strlen("\\xNN") : 1;
	}
	return memory_print("%.*s...", (int)kept, word);
}

static bool names(const struct session *s, const char *word,
		  bool (*same)(const char *word, const char *text))
{
	struct slice unit = slice_str(s->unit.name);
	char *address = memory_copy(match_address(slice_str(s->client))), *short_unit;
	bool found;

	if (unit.len > strlen(".service"))
		unit.len -= strlen(".service");
	short_unit = memory_copy(unit);
	found = (s->id && same(word, s->id)) || (s->user && same(word, s->user)) ||
		same(word, s->client) || same(word, address) ||
		same(word, s->unit.name) || same(word, short_unit);
	free(address);
	free(short_unit);
	return found;
}

static size_t mark(const struct sessions *s, const char *word,
		   bool (*same)(const char *word, const char *text), bool marked[])
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		if (names(&s->session[i], word, same)) {
			marked[i] = true;
			n++;
		}
	return n;
}

enum match match_sessions(const struct sessions *s, const char *word, bool also_glob,
			  bool marked[])
{
	char *cut = match_cut(word);
	size_t exact = mark(s, cut, equal, marked), n;

	free(cut);
	if (exact > 0 && !also_glob)
		return MATCH_EXACT; /* also if it looks like a glob */
	n = strpbrk(word, "*?[") ? mark(s, word, globs, marked) : 0;
	if (n == 0)
		return exact > 0 ? MATCH_EXACT : MATCH_NONE;
	return n > 1 && n == s->n ? MATCH_ALL : MATCH_GLOB;
}
