/* SPDX-License-Identifier: MIT */
/* Bytes in memory, and descriptors with one owner. */
#pragma once

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* The number of elements of an array. */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/*
 * Text inside a buffer that belongs to somebody else: it has no NUL at its end, and is invalid
 * once that buffer's content moves.
 */
struct slice {
	const char *p;
	size_t len;
};

/* A string as a slice, which must not outlive it. */
static inline struct slice slice_str(const char *s)
{
	return (struct slice){ s, strlen(s) };
}

/* A string literal as a slice, and an initialiser for one. */
#define SLICE(literal) ((struct slice)SLICE_INIT(literal))
#define SLICE_INIT(literal)                    \
	{                                      \
		(literal), sizeof(literal) - 1 \
	}

/* Arguments for a "%.*s". */
#define SLICE_FMT(s) (int)(s).len, (s).p

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/*
 * s starts with prefix, whatever the case of ASCII letters. The first byte is compared without a
 * call, since most differ there.
 */
static inline bool slice_casestarts(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len &&
	       (prefix.len == 0 || (((s.p[0] ^ prefix.p[0]) & ~0x20) == 0 &&
				    strncasecmp(s.p, prefix.p, prefix.len) == 0));
}

/* Equal, whatever the case of ASCII letters. */
static inline bool slice_caseeq(struct slice a, struct slice b)
{
	return a.len == b.len && slice_casestarts(a, b);
}

/* Equal to one of n, whatever the case of ASCII letters. */
static inline bool slice_casein(struct slice s, const struct slice *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_caseeq(s, list[i]))
			return true;
	return false;
}

/* The rest after the first n bytes; n is at most s.len. */
static inline struct slice slice_from(struct slice s, size_t n)
{
	assert(n <= s.len);
	return (struct slice){ s.p + n, s.len - n };
}

/* The offset of the first c, or s.len where there is none. */
static inline size_t slice_find(struct slice s, char c)
{
	const char *hit = s.len > 0 ? memchr(s.p, c, s.len) : NULL;

	return hit ? (size_t)(hit - s.p) : s.len;
}

/* s without the spaces and tabs around it (OWS, RFC 9110 5.6.3). */
static inline struct slice slice_trim(struct slice s)
{
	while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = slice_from(s, 1);
	while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Splits off the part before the next c; false if no part is left. The last part leaves rest->p NULL. */
static inline bool slice_split(struct slice *rest, char c, struct slice *ret)
{
	size_t n;

	if (!rest->p)
		return false;
	n = slice_find(*rest, c);
	*ret = (struct slice){ rest->p, n };
	*rest = n < rest->len ? slice_from(*rest, n + 1) : (struct slice){ NULL, 0 };
	return true;
}

/*
 * Takes the digits at the beginning off *s, and sets *ret to their number, or to UINT64_MAX if that is too
 * large; false if there are none. strtoul() would also accept signs, white space and bases.
 */
static inline bool slice_take_number(struct slice *s, uint64_t *ret)
{
	uint64_t number = 0;
	size_t n = 0;

	for (; n < s->len; n++) {
		unsigned digit = (unsigned)(s->p[n] - '0');

		if (digit > 9)
			break;
		number = number > (UINT64_MAX - digit) / 10 ? UINT64_MAX
							    : number * 10 + digit;
	}
	*s = slice_from(*s, n);
	*ret = number;
	return n > 0;
}

/* Reads a number that is all of s (1*DIGIT); false if it is above max, which is below UINT64_MAX. */
static inline bool slice_number(struct slice s, uint64_t max, uint64_t *ret)
{
	uint64_t number;

	if (!slice_take_number(&s, &number) || s.len > 0 || number > max)
		return false;
	*ret = number;
	return true;
}

/* A buffer in the caller's storage, of fixed capacity; always start <= end <= cap. */
struct buf {
	char *data;
	size_t cap;
	size_t start; /* first byte not yet consumed */
	size_t end;   /* one past the last byte */
};

static inline size_t buf_len(const struct buf *b)
{
	return b->end - b->start;
}

static inline struct slice buf_slice(const struct buf *b)
{
	return (struct slice){ b->data + b->start, buf_len(b) };
}

/* The free space after the content. */
static inline size_t buf_room(const struct buf *b)
{
	return b->cap - b->end;
}

static inline void buf_consume(struct buf *b, size_t n)
{
	assert(n <= buf_len(b));
	b->start += n;
	if (b->start == b->end)
		b->start = b->end = 0;
}

/* Drops the content. */
static inline void buf_reset(struct buf *b)
{
	b->start = b->end = 0;
}

/* Moves the content to the front; slices into the buffer are invalid after it. */
static inline void buf_compact(struct buf *b)
{
	if (b->start == 0)
		return;
	memmove(b->data, b->data + b->start, buf_len(b));
	b->end -= b->start;
	b->start = 0;
}

/* Appends all of it or nothing: 0, or -ENOBUFS. */
static inline int buf_put(struct buf *b, const void *p, size_t n)
{
	if (n > buf_room(b))
		return -ENOBUFS;
	if (n > 0)
		memcpy(b->data + b->end, p, n);
	b->end += n;
	return 0;
}

static inline int buf_put_slice(struct buf *b, struct slice s)
{
	return buf_put(b, s.p, s.len);
}

/* Appends n slices. Returns 0, or -ENOBUFS; then some of the slices may have been appended. */
static inline int buf_put_slices(struct buf *b, const struct slice *parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (buf_put_slice(b, parts[i]) < 0)
			return -ENOBUFS;
	return 0;
}

/* The same with the slices themselves as arguments. */
#define BUF_PUT(b, ...)                                                \
	buf_put_slices(b, (const struct slice[]){ __VA_ARGS__ },       \
		       sizeof((const struct slice[]){ __VA_ARGS__ }) / \
			       sizeof(struct slice))

/*
 * Appends a number in base 10 or 16, without printf(): that took 5 % of all instructions when a
 * response was forwarded over a kept connection.
 */
static inline int buf_put_number(struct buf *b, uint64_t n, unsigned base)
{
	char digits[sizeof("18446744073709551615") - 1];
	size_t at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n > 0);
	return buf_put(b, digits + at, sizeof(digits) - at);
}

/* A descriptor that its scope closes: AUTO_FD int fd = open(...). */
#define AUTO_FD __attribute__((cleanup(fd_close_auto)))

static inline void fd_close_auto(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd); /* fails only for files that were written to: none */
	*fd = -1;
	errno = saved;
}
