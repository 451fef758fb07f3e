/* SPDX-License-Identifier: MIT */
#include "log/combined.h"

#include <stdio.h>

/* ---- the columns. All have room: entry_write() in log.c asserts the sum. */

/* Appends the text with each byte `end` as \xNN; cut if it becomes too long. */
static void put_column(struct buf *b, struct slice text, char end)
{
	size_t start = b->end;
	char hex[sizeof("\\xNN")];

	if (text.len == 0)
		text = SLICE("-");
	if (slice_find(text, end) == text.len) { /* most texts */
		(void)buf_put_slice(b, text);
		return;
	}
	(void)snprintf(hex, sizeof(hex), "\\x%02x", (unsigned char)end);
	for (size_t i = 0; i < text.len; i++) {
		if (b->end - start >
		    COMBINED_COLUMN_MAX - 7) { /* no room for both \xNN and ... */
			(void)buf_put_slice(b, SLICE("..."));
			return;
		}
		(void)(text.p[i] == end ? buf_put(b, hex, 4) : buf_put(b, &text.p[i], 1));
	}
}

static void put_quoted(struct buf *b, struct slice text)
{
	(void)buf_put_slice(b, SLICE(" \""));
	put_column(b, text, '"');
	(void)buf_put_slice(b, SLICE("\""));
}

static struct slice without_port(struct slice client)
{
	size_t colon = slice_find(client, ':');

	if (client.len > 0 && client.p[0] == '[') {
		client = slice_from(client, 1);
		client.len = slice_find(client, ']');
	} else if (colon < client.len && slice_find(slice_from(client, colon + 1), ':') ==
						 client.len - colon - 1) {
		client.len = colon; /* with more colons, it is an IPv6 address */
	}
	return client;
}

/* ---- the time, in UTC. gmtime_r(3) would open /etc/localtime, which the sandbox forbids. */

static bool is_leap(unsigned year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static void put_time(struct buf *b, uint64_t time_s)
{
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	static const unsigned char lengths[] = { 31, 28, 31, 30, 31, 30,
						 31, 31, 30, 31, 30, 31 };
	unsigned days = (unsigned)(time_s / 86400), s = (unsigned)(time_s % 86400);
	unsigned year = 1970, month = 0, length;
	char text[64];

	for (; days >= (length = is_leap(year) ? 366 : 365); year++)
		days -= length;
	for (;
	     days >= (length = lengths[month] + (month == 1 && is_leap(year) ? 1U : 0U));
	     month++)
		days -= length;
	(void)snprintf(text, sizeof(text), " [%02u/%s/%u:%02u:%02u:%02u +0000]", days + 1,
		       months[month], year, s / 3600, s / 60 % 60, s % 60);
	(void)buf_put_slice(b, slice_str(text));
}

void combined_put(struct buf *b, const struct combined *c)
{
	put_column(b, without_port(c->client), ' ');
	(void)buf_put_slice(b, SLICE(" - "));
	put_column(b, c->user, ' ');
	put_time(b, c->time_s);
	(void)buf_put_slice(b, SLICE(" \""));
	put_column(b, c->method, '"');
	(void)buf_put_slice(b, SLICE(" "));
	put_column(b, c->path, '"');
	(void)buf_put_slice(b, SLICE(" "));
	put_column(b, c->protocol, '"');
	(void)BUF_PUT(b, SLICE("\" "), c->status.len > 0 ? c->status : SLICE("-"),
		      SLICE(" "), c->bytes.len > 0 ? c->bytes : SLICE("-"));
	put_quoted(b, c->referer);
	put_quoted(b, c->user_agent);
}
