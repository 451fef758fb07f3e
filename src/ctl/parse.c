/* SPDX-License-Identifier: MIT */
#include "ctl/parse.h"

#include "base/network.h"
#include "ctl/memory.h"

/* Takes the prefix off; false if the text begins otherwise. */
static bool skip(struct slice *text, struct slice prefix)
{
	if (text->len < prefix.len || memcmp(text->p, prefix.p, prefix.len) != 0)
		return false;
	*text = slice_from(*text, prefix.len);
	return true;
}

/* Takes off what is before the mark, and the mark; all, if there is no mark. */
static struct slice take_until(struct slice *text, struct slice mark)
{
	const char *hit = memmem(text->p, text->len, mark.p, mark.len);
	struct slice before = *text;

	if (!hit) {
		*text = (struct slice){ text->p + text->len, 0 };
		return before;
	}
	before.len = (size_t)(hit - text->p);
	*text = slice_from(*text, before.len + mark.len);
	return before;
}

bool parse_end(struct slice text, struct in6_addr *ret_address, uint16_t *ret_port)
{
	uint64_t port;
	const char *colon = text.len > 0 ? memrchr(text.p, ':', text.len) : NULL;
	struct slice host;

	if (!colon)
		return false;
	host = (struct slice){ text.p, (size_t)(colon - text.p) };
	if (!slice_number(slice_from(text, host.len + 1), UINT16_MAX, &port) || port == 0)
		return false;
	*ret_port = (uint16_t)port;
	if (host.len > 2 && host.p[0] == '[' && host.p[host.len - 1] == ']')
		host = (struct slice){ host.p + 1, host.len - 2 };
	return network_parse_address(host, ret_address);
}

bool parse_ends(struct slice text, struct parse_ends *ret)
{
	size_t dash = slice_find(text, '-');

	return dash < text.len &&
	       parse_end((struct slice){ text.p, dash }, &ret->local, &ret->local_port) &&
	       parse_end(slice_from(text, dash + 1), &ret->remote, &ret->remote_port);
}

/* "4711 of alice (192.0.2.1:51234)", "4711 of 192.0.2.1:51234": the text of gates before this one. */
static void parse_old(struct slice text, struct parse_status *ret)
{
	const char *open;

	ret->id = take_until(&text, SLICE(" of "));
	open = text.len > 0 ? memrchr(text.p, '(', text.len) : NULL;
	if (!open || open < text.p + 2 || text.p[text.len - 1] != ')') {
		ret->client = text;
		return;
	}
	ret->user = (struct slice){ text.p, (size_t)(open - text.p) - 1 };
	ret->client = (struct slice){ open + 1, text.len - ret->user.len - 3 };
}

void parse_status(struct slice text, struct parse_status *ret)
{
	*ret = (struct parse_status){ 0 };
	if (skip(&text, SLICE("noVNC session, client "))) {
		ret->is_session = true;
		ret->client = take_until(&text, SLICE(", "));
		if (skip(&text, SLICE("connection ")))
			ret->has_ends =
				parse_ends(take_until(&text, SLICE(", ")), &ret->ends);
		if (skip(&text, SLICE("id "))) {
			ret->id = take_until(&text, SLICE(", user "));
			ret->user = text;
		}
	} else if (skip(&text, SLICE("noVNC session "))) {
		ret->is_session = true;
		parse_old(text, ret);
	} else if (skip(&text, SLICE("closed; "))) {
		ret->closed = true;
	} else if (skip(&text, SLICE("WebSocket of "))) {
		ret->client = take_until(&text, SLICE(" to "));
	}
}

char *parse_unit_client(const char *unit)
{
	struct slice name = slice_str(unit), port;
	const char *dash, *colon;

	name = slice_from(name, slice_find(name, '@'));
	if (name.len > strlen(".service"))
		name.len -= strlen(".service");
	dash = name.len > 0 ? memrchr(name.p, '-', name.len) : NULL;
	if (dash)
		name = slice_from(name, (size_t)(dash - name.p) + 1);
	colon = dash ? memrchr(name.p, ':', name.len) : NULL;
	if (!colon) /* the number of a local socket's peer */
		return memory_copy(SLICE("local"));
	port = slice_from(name, (size_t)(colon - name.p));
	name.len -= port.len;
	return memory_print(slice_find(name, ':') < name.len ? "[%.*s]%.*s" : "%.*s%.*s",
			    SLICE_FMT(name), SLICE_FMT(port));
}
