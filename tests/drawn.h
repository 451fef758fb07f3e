/* SPDX-License-Identifier: MIT */
/* Chunked bodies by chance, right ones and wrong ones, and what llhttp reads in them. */
#pragma once

#include <llhttp.h>
#include <stdio.h>

#include "testing.h"

#define DRAWN_MAX 16384

/* A text, or a payload. */
struct drawn {
	char data[DRAWN_MAX];
	size_t len;
};

/* The same ones on each run. Returns 0..n-1. */
static inline size_t draw(uint64_t *seed, size_t n)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (size_t)(*seed >> 33) % n;
}

static inline void drawn_put(struct drawn *d, const void *p, size_t n)
{
	if (n > sizeof(d->data) - d->len) /* an assertion is dear */
		ck_abort_msg("no room for %zu bytes", n);
	memcpy(d->data + d->len, p, n);
	d->len += n;
}

static inline void drawn_say(struct drawn *d, const char *text)
{
	drawn_put(d, text, strlen(text));
}

/* A chunk's size and extensions. */
static inline void draw_line(uint64_t *seed, struct drawn *d, size_t size)
{
	static const char *const extensions[] = { ";a",         ";a=b",
						  ";a=\"b\"",   ";a=\"\"",
						  ";a;b=~1",    ";a=\"\x80;=\"",
						  ";x=\" 5\";y" };
	static const char *const formats[] = { "%zx", "%zX", "0%zx", "0000000%zX" };
	char text[64];

	(void)snprintf(text, sizeof(text), formats[draw(seed, LENGTH(formats))], size);
	drawn_say(d, text);
	if (draw(seed, 4) == 0)
		drawn_say(d, extensions[draw(seed, LENGTH(extensions))]);
	drawn_say(d, "\r\n");
}

/* A right one, with what follows it. */
static inline void draw_body(uint64_t *seed, struct drawn *d)
{
	static const char bytes[] = "\r\n\r\n0123;=a\"\xff";
	static const char *const ends[] = { "\r\n", "A: b\r\n\r\n",
					    "A:\r\nB:c \r\n\r\n" };
	static const char *const next[] = { "", "\r\n", "GET / HTTP/1.1\r\n",
					    "0\r\n\r\n" };
	static const size_t sizes[] = { 1, 2, 20, 300, 3000 };

	d->len = 0;
	for (size_t chunks = draw(seed, 5); chunks > 0; chunks--) {
		size_t size = 1 + draw(seed, sizes[draw(seed, LENGTH(sizes))]);

		draw_line(seed, d, size);
		for (size_t i = 0; i < size; i++)
			drawn_put(d, &bytes[draw(seed, sizeof(bytes) - 1)], 1);
		drawn_say(d, "\r\n");
	}
	draw_line(seed, d, 0);
	drawn_say(d, ends[draw(seed, LENGTH(ends))]);
	drawn_say(d, next[draw(seed, LENGTH(next))]);
}

/* Changes it in one place: another byte, one more, one less. */
static inline void draw_fault(uint64_t *seed, struct drawn *d)
{
	static const char bytes[] = "\r\n\t ;=\"\\0159aFgG-+x,:\x01\x7f\x80";
	size_t at = draw(seed, d->len), start = at < 12 ? 0 : at - draw(seed, 12);
	char byte = bytes[draw(seed, sizeof(bytes))];

	/* rather in the framing: near a line end, where there is one */
	for (size_t i = start; i < d->len && draw(seed, 8) > 0; i++)
		at = d->data[i] == '\n' ? i : at;
	switch (draw(seed, 3)) {
	case 0: d->data[at] = byte; return;
	case 1:
		ck_assert_uint_lt(d->len, sizeof(d->data));
		memmove(d->data + at + 1, d->data + at, d->len - at);
		d->data[at] = byte;
		d->len++;
		return;
	}
	memmove(d->data + at, d->data + at + 1, d->len - at - 1);
	d->len--;
}

static inline int drawn_on_body(llhttp_t *parser, const char *at, size_t len)
{
	drawn_put(parser->data, at, len);
	return 0;
}

static inline int drawn_on_end(llhttp_t *parser)
{
	(void)parser;
	return HPE_PAUSED;
}

static inline void llhttp_begin(llhttp_t *parser, llhttp_settings_t *settings,
				struct drawn *payload)
{
	static const char head[] =
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

	payload->len = 0;
	llhttp_settings_init(settings);
	settings->on_body = drawn_on_body;
	settings->on_message_complete = drawn_on_end;
	llhttp_init(parser, HTTP_REQUEST, settings);
	parser->data = payload;
	ck_assert_int_eq(llhttp_execute(parser, head, sizeof(head) - 1), HPE_OK);
}

/* llhttp reads text as one whole chunked body that ends with its last byte; ret: the payload. */
static inline bool llhttp_reads(struct slice text, struct drawn *ret)
{
	llhttp_settings_t settings;
	llhttp_t parser;

	llhttp_begin(&parser, &settings, ret);
	return text.len > 0 && llhttp_execute(&parser, text.p, text.len - 1) == HPE_OK &&
	       llhttp_execute(&parser, text.p + text.len - 1, 1) == HPE_PAUSED;
}

/* llhttp reads a whole chunked body at the beginning of text; ret: the payload. */
static inline bool llhttp_begins(const struct drawn *text, struct drawn *ret)
{
	llhttp_settings_t settings;
	llhttp_t parser;

	llhttp_begin(&parser, &settings, ret);
	return llhttp_execute(&parser, text->data, text->len) == HPE_PAUSED;
}
