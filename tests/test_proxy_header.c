/* SPDX-License-Identifier: MIT */
/* proxy_header.c: both versions in pieces of any size; nothing is read beyond a header; random bytes. */
#include "net/proxy_header.h"

#include <arpa/inet.h>

#include "drawn.h"

#define V2(command, family, len) "\r\n\r\n\0\r\nQUIT\n" command family len
#define BYTES(literal)           (literal), sizeof(literal) - 1

/* The addresses 192.0.2.1 and 198.51.100.9, ports 51234 and 443. */
#define V2_ADDRESSES4 "\xc0\x00\x02\x01\xc6\x33\x64\x09\xc8\x22\x01\xbb"
/* The addresses 2001:db8::1 and 2001:db8::9, the same ports. */
#define V2_ADDRESSES6                                \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09\xc8\x22\x01\xbb"
#define TEN  "0123456789"
#define FULL "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

static const struct {
	const char *bytes;
	size_t len;
	const char *address; /* NULL: the header names none */
	unsigned port;
} valid[] = {
	/* version 1 */
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.9 51234 443\r\n"), "::ffff:192.0.2.1",
	  51234 },
	{ BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
	  "::ffff:255.255.255.255", 65535 },
	{ BYTES("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), "::ffff:0.0.0.0", 0 },
	{ BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n"), "::ffff:1.2.3.4", 9 },
	{ BYTES("PROXY TCP6 2001:db8::1 2001:db8::9 51234 443\r\n"), "2001:db8::1",
	  51234 },
	{ BYTES("PROXY TCP6 " FULL " " FULL " 65535 65535\r\n"), FULL, 65535 },
	{ BYTES("PROXY TCP6 :: :: 0 0\r\n"), "::", 0 },
	{ BYTES("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"), "::ffff:192.0.2.1", 1 },
	{ BYTES("PROXY TCP6 2001:DB8::A 2001:0db8:0:0:0:0:0:1 1 2\r\n"), "2001:db8::a",
	  1 },
	{ BYTES("PROXY UNKNOWN\r\n"), NULL, 0 },
	{ BYTES("PROXY UNKNOWN \r\n"), NULL, 0 },
	{ BYTES("PROXY UNKNOWN 192.0.2.1 198.51.100.9 51234 443\r\n"), NULL, 0 },
	{ BYTES("PROXY UNKNOWN " FULL " " FULL " 65535 65535\r\n"), NULL, 0 },
	{ BYTES("PROXY UNKNOWN  \0\xff PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1 1 1\r\n"), NULL,
	  0 },
	/* version 2 */
	{ BYTES(V2("\x21", "\x11", "\0\x0c") V2_ADDRESSES4), "::ffff:192.0.2.1", 51234 },
	{ BYTES(V2("\x21", "\x12", "\0\x0c") V2_ADDRESSES4), "::ffff:192.0.2.1", 51234 },
	{ BYTES(V2("\x21", "\x11", "\0\x0f") V2_ADDRESSES4 "\x04\0\0"),
	  "::ffff:192.0.2.1", 51234 },
	/* a checksum that is wrong */
	{ BYTES(V2("\x21", "\x11", "\0\x13") V2_ADDRESSES4 "\x03\0\x04\0\0\0\0"),
	  "::ffff:192.0.2.1", 51234 },
	/* values that end too late */
	{ BYTES(V2("\x21", "\x11", "\0\x0f") V2_ADDRESSES4 "\x04\xff\xff"),
	  "::ffff:192.0.2.1", 51234 },
	{ BYTES(V2("\x21", "\x21", "\0\x24") V2_ADDRESSES6), "2001:db8::1", 51234 },
	{ BYTES(V2("\x21", "\x22", "\0\x24") V2_ADDRESSES6), "2001:db8::1", 51234 },
	{ BYTES(V2("\x21", "\x21", "\0\x9c")
			V2_ADDRESSES6 TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN),
	  "2001:db8::1", 51234 },
	{ BYTES(V2("\x20", "\0", "\0\0")), NULL, 0 },
	{ BYTES(V2("\x20", "\x11", "\0\x0c") V2_ADDRESSES4), NULL, 0 },
	{ BYTES(V2("\x20", "\x11", "\0\0")), NULL, 0 },
	{ BYTES(V2("\x20", "\xff", "\0\x03") "\x04\0\0"), NULL, 0 },
	{ BYTES(V2("\x21", "\0", "\0\0")), NULL, 0 },
	{ BYTES(V2("\x21", "\0", "\0\x0a") TEN), NULL, 0 },
	{ BYTES(V2("\x21", "\x01", "\0\0")), NULL, 0 },
	{ BYTES(V2("\x21", "\x10", "\0\x0c") V2_ADDRESSES4), NULL, 0 },
	{ BYTES(V2("\x21", "\x20", "\0\x01") "x"), NULL, 0 },
};

/* A Unix socket's: 216 bytes, the longest addresses. */
static const char v2_unix[] = V2("\x21", "\x31", "\0\xd8");

static const struct {
	const char *bytes;
	size_t len;
	const char *why; /* a part of it */
} invalid[] = {
	{ BYTES("G"), "does not begin with a PROXY header" },
	{ BYTES("\x16\x03\x01"), "does not begin with a PROXY header" },
	{ BYTES("\0"), "does not begin with a PROXY header" },
	{ BYTES("PROXX"), "does not begin with a PROXY header" },
	{ BYTES("proxy "), "does not begin with a PROXY header" },
	{ BYTES("PROXY\t"), "does not begin with a PROXY header" },
	{ BYTES("PROXY\r\n"), "does not begin with a PROXY header" },
	{ BYTES("PRI * HTTP/2.0\r\n"), "does not begin with a PROXY header" },
	{ BYTES("\r\nGET"), "does not begin with a PROXY header" },
	{ BYTES("\r\n\r\n\0\r\nQUIT\r"), "does not begin with a PROXY header" },
	{ BYTES("PROXY  "), "malformed" },
	{ BYTES("PROXY \r\n"), "malformed" },
	{ BYTES("PROXY TCP5"), "malformed" },
	{ BYTES("PROXY tcp4"), "malformed" },
	{ BYTES("PROXY UDP4"), "malformed" },
	{ BYTES("PROXY unknown"), "malformed" },
	{ BYTES("PROXY UNKNOWNS\r\n"), "malformed" },
	{ BYTES("PROXY UNKNOWN\n"), "malformed" },
	{ BYTES("PROXY UNKNOWN a\nb\r\n"), "malformed" },
	{ BYTES("PROXY UNKNOWN a\rb\r\n"), "malformed" },
	{ BYTES("PROXY UNKNOWN\r\r\n"), "malformed" },
	{ BYTES("PROXY TCP4\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 \r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 9 10\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 9 10 \r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 9 10 11\r\n"), "malformed" },
	{ BYTES("PROXY TCP4  1.2.3.4 5.6.7.8 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4  5.6.7.8 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4\t5.6.7.8 9 10 \r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3 5.6.7.8 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.256 5.6.7.8 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 01.2.3.4 5.6.7.8 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4.5 5.6.7.8 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 0x1.2.3.4 5.6.7.8 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4\0 5.6.7.8 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 localhost 5.6.7.8 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4 5.6.7 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4 ::1 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 ::1 ::1 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 ::ffff:1.2.3.4 5.6.7.8 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP6 1.2.3.4 5.6.7.8 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP6 ::1 5.6.7.8 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP6 [::1] ::2 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP6 fe80::1%lo ::2 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP6 1::2::3 ::2 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP6 1:2:3:4:5:6:7 ::2 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP6 1:2:3:4:5:6:7:8:9 ::2 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP6 12345::1 ::2 9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 65536 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 9 65536\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 123456 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 09 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 9 00\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 +9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 -9 10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 9 0x10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 9 10a\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4 5.6.7.8  10\r\n"), "malformed" },
	{ BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 9 \r\n"), "malformed" },
	{ BYTES("PROXY UNKNOWN " FULL " " FULL " 65535 65535 \r\n"), "longer than 107" },
	{ BYTES("PROXY UNKNOWN " FULL " " FULL " 65535 655355"), "longer than 107" },
	{ BYTES("PROXY TCP4 " TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN),
	  "longer than 107" },
	{ BYTES(V2("\x11", "\x11", "\0\x0c") V2_ADDRESSES4), "version or command" },
	{ BYTES(V2("\x31", "\x11", "\0\x0c") V2_ADDRESSES4), "version or command" },
	{ BYTES(V2("\x01", "\x11", "\0\x0c") V2_ADDRESSES4), "version or command" },
	{ BYTES(V2("\x22", "\x11", "\0\x0c") V2_ADDRESSES4), "version or command" },
	{ BYTES(V2("\x2f", "\0", "\0\0")), "version or command" },
	{ BYTES(V2("\x21", "\x13", "\0\x0c") V2_ADDRESSES4), "family or transport" },
	{ BYTES(V2("\x21", "\x1f", "\0\x0c") V2_ADDRESSES4), "family or transport" },
	{ BYTES(V2("\x21", "\x03", "\0\0")), "family or transport" },
	{ BYTES(V2("\x21", "\x41", "\0\x0c") V2_ADDRESSES4), "family or transport" },
	{ BYTES(V2("\x21", "\xf0", "\0\x0c") V2_ADDRESSES4), "family or transport" },
	{ BYTES(V2("\x21", "\x11", "\0\0")), "shorter than its addresses" },
	{ BYTES(V2("\x21", "\x11", "\0\x0b") V2_ADDRESSES4),
	  "shorter than its addresses" },
	{ BYTES(V2("\x21", "\x12", "\0\x0b") V2_ADDRESSES4),
	  "shorter than its addresses" },
	{ BYTES(V2("\x21", "\x21", "\0\x23") V2_ADDRESSES6),
	  "shorter than its addresses" },
	{ BYTES(V2("\x21", "\x21", "\0\x0c") V2_ADDRESSES4),
	  "shorter than its addresses" },
	{ BYTES(V2("\x21", "\x31", "\0\xd7")), "shorter than its addresses" },
};

/* ---- reading as from a socket */

struct connection {
	const char *bytes;
	size_t len, read;
	bool copied; /* each piece into a block of exactly its size, which takes time */
};

static void add(struct proxy_header *h, const struct connection *c, size_t n)
{
	struct slice piece = { c->bytes + c->read, n };

	if (c->copied)
		piece.p = exact(piece.p, n);
	proxy_header_add(h, piece);
	if (c->copied)
		slice_free(piece);
}

/* Reads as much as is wanted, at most max bytes at once and not beyond `until`. */
static void read_until(struct proxy_header *h, struct connection *c, size_t until,
		       size_t max)
{
	while (h->state == PROXY_HEADER_INCOMPLETE && c->read < until) {
		size_t n = h->wanted < max ? h->wanted : max;

		if (h->wanted == 0)
			ck_abort_msg("incomplete, and nothing is wanted");
		if (n > until - c->read)
			n = until - c->read;
		add(h, c, n);
		c->read += n;
	}
}

static void expect_valid(const struct proxy_header *h, const char *address, unsigned port)
{
	struct in6_addr expected;

	ck_assert_int_eq(h->state, address ? PROXY_HEADER_NAMED : PROXY_HEADER_ANONYMOUS);
	if (!address)
		return;
	ck_assert_int_eq(inet_pton(AF_INET6, address, &expected), 1);
	ck_assert_mem_eq(&h->address, &expected, sizeof(expected));
	ck_assert_uint_eq(h->port, port);
}

/* Bytes behind a header: each of these could be taken for a part of it. */
static const char *const followers[] = { "\r\nGET / HTTP/1.1\r\n\r\n",
					 " 1 2 3 4 5 6 7\r\n", "\n\n\n\n\n\n\n\n",
					 "0000000000" };

/* A valid header and a follower, in one block; free() the bytes. */
static struct connection connection_of(const char *bytes, size_t len,
				       const char *follower)
{
	struct connection c = { .len = len + strlen(follower), .copied = true };
	char *all = malloc(c.len);

	memcpy(all, bytes, len);
	memcpy(all + len, follower, c.len - len);
	c.bytes = all;
	return c;
}

START_TEST(a_valid_header_in_pieces_of_any_size_is_read_and_nothing_behind_it)
{
	size_t len = valid[_i].len;

	for (size_t f = 0; f < LENGTH(followers); f++) {
		struct connection c = connection_of(valid[_i].bytes, len, followers[f]);

		for (size_t max = 1; max <= c.len; max++) {
			struct proxy_header h;

			c.read = 0;
			proxy_header_init(&h);
			read_until(&h, &c, c.len, max);
			ck_assert_uint_eq(c.read, len);
			expect_valid(&h, valid[_i].address, valid[_i].port);
		}
		free((char *)c.bytes);
	}
}
END_TEST

START_TEST(a_valid_header_may_be_cut_at_every_byte)
{
	size_t len = valid[_i].len;

	for (size_t cut = 0; cut < len; cut++) {
		struct connection c = { valid[_i].bytes, len, 0, true };
		struct proxy_header h;

		proxy_header_init(&h);
		read_until(&h, &c, cut, SIZE_MAX);
		ck_assert_uint_eq(c.read, cut);
		ck_assert_int_eq(h.state, PROXY_HEADER_INCOMPLETE);
		ck_assert_uint_le(h.wanted, len - cut);
		read_until(&h, &c, len, SIZE_MAX);
		ck_assert_uint_eq(c.read, len);
		expect_valid(&h, valid[_i].address, valid[_i].port);
	}
}
END_TEST

/* A typical line takes few reads; each is a system call. */
START_TEST(what_is_wanted_is_not_much_less_than_what_is_missing)
{
	static const char line[] = "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n";
	struct proxy_header h;
	size_t reads = 0, read = 0;

	for (proxy_header_init(&h); h.state == PROXY_HEADER_INCOMPLETE; reads++) {
		size_t n = h.wanted;

		proxy_header_add(&h, (struct slice){ line + read, n });
		read += n;
	}
	ck_assert_uint_eq(read, sizeof(line) - 1);
	ck_assert_uint_le(reads, 8);
}
END_TEST

/* ---- version 2: the length */

#define V2_LEN_MAX 65535

/* A header with that command, family and transport, of any length, and a byte behind it. */
static void v2_make(char bytes[static 16 + V2_LEN_MAX + 1], const char *fixed)
{
	memset(bytes, '\x05', 16 + V2_LEN_MAX + 1);
	memcpy(bytes, fixed, 14);
}

static void v2_set_len(char bytes[static 16], size_t len)
{
	bytes[14] = (char)(len >> 8);
	bytes[15] = (char)len;
}

/* Reads to the cut, then to the end of the header. */
static void v2_cut(const char *bytes, size_t len, size_t cut,
		   enum proxy_header_state expected)
{
	struct connection c = { bytes, 16 + len + 1, 0, false };
	struct proxy_header h;

	proxy_header_init(&h);
	read_until(&h, &c, cut, 1 << 20);
	if (c.read != cut || h.state != PROXY_HEADER_INCOMPLETE ||
	    h.wanted > 16 + len - cut)
		ck_abort_msg("length %zu, cut at %zu: read %zu, wanted %zu", len, cut,
			     c.read, h.wanted);
	read_until(&h, &c, c.len, 1 << 20);
	if (c.read != 16 + len || h.state != expected)
		ck_abort_msg("length %zu, cut at %zu: read %zu", len, cut, c.read);
}

static const struct {
	const char *fixed;
	size_t least;
	enum proxy_header_state state;
} v2_kinds[] = {
	{ V2("\x21", "\x11", "\0\0"), 12, PROXY_HEADER_NAMED },
	{ V2("\x21", "\x21", "\0\0"), 36, PROXY_HEADER_NAMED },
	{ v2_unix, 216, PROXY_HEADER_ANONYMOUS },
	{ V2("\x21", "\0", "\0\0"), 0, PROXY_HEADER_ANONYMOUS },
	{ V2("\x20", "\0", "\0\0"), 0, PROXY_HEADER_ANONYMOUS },
};

/* All cuts of the shorter ones and of the longest one; of each in between the last and one by chance. */
START_TEST(every_length_of_version_2_may_be_cut_at_every_byte)
{
	enum proxy_header_state state = v2_kinds[_i].state;
	size_t least = v2_kinds[_i].least, step = V2_LEN_MAX / rounds(V2_LEN_MAX);
	uint64_t seed = 15;
	char bytes[16 + V2_LEN_MAX + 1];

	v2_make(bytes, v2_kinds[_i].fixed);
	for (size_t len = least; len < least + rounds(300); len++) {
		v2_set_len(bytes, len);
		for (size_t cut = 0; cut < 16 + len; cut++)
			v2_cut(bytes, len, cut, state);
	}
	for (size_t len = least + 300; len < V2_LEN_MAX; len += step) {
		v2_set_len(bytes, len);
		v2_cut(bytes, len, 16 + len - 1, state);
		v2_cut(bytes, len, draw(&seed, 16 + len), state);
	}
	v2_set_len(bytes, V2_LEN_MAX);
	for (size_t cut = 0; cut < 16 + V2_LEN_MAX; cut += step)
		v2_cut(bytes, V2_LEN_MAX, cut, state);
}
END_TEST

START_TEST(a_length_that_is_less_than_the_addresses_is_refused)
{
	char bytes[16 + V2_LEN_MAX + 1];

	v2_make(bytes, v2_kinds[_i].fixed);
	for (size_t len = 0; len < v2_kinds[_i].least; len++) {
		struct connection c = { bytes, 16 + len + 1, 0, false };
		struct proxy_header h;

		v2_set_len(bytes, len);
		proxy_header_init(&h);
		read_until(&h, &c, c.len, SIZE_MAX);
		ck_assert_int_eq(h.state, PROXY_HEADER_INVALID);
		ck_assert_uint_eq(c.read, 16);
	}
}
END_TEST

/* ---- bytes that are no header */

START_TEST(what_is_malformed_is_refused_with_the_reason)
{
	for (size_t max = 1; max <= invalid[_i].len; max++) {
		struct connection c = { invalid[_i].bytes, invalid[_i].len, 0, true };
		struct proxy_header h;

		proxy_header_init(&h);
		read_until(&h, &c, c.len, max);
		ck_assert_msg(h.state == PROXY_HEADER_INVALID, "accepted: %.*s",
			      (int)c.len, c.bytes);
		ck_assert_msg(strstr(h.why, invalid[_i].why), "%.*s: %s", (int)c.len,
			      c.bytes, h.why);
	}
}
END_TEST

/* ---- random bytes, judged in another way: where would the header that they begin with end? */

/* The end, or 0: it is not there. */
static size_t header_end(const char *p, size_t len)
{
	const char *end;

	if (len >= 16 && memcmp(p, v2_unix, 12) == 0)
		return 16 + (size_t)(unsigned char)p[14] * 256 + (unsigned char)p[15];
	end = len > 6 && memcmp(p, "PROXY ", 6) == 0 ? memmem(p, len, "\r\n", 2) : NULL;
	return end && end + 2 - p <= 107 ? (size_t)(end + 2 - p) : 0;
}

/* Bytes that occur in headers, so that changed ones are still like headers. */
static char likely(uint64_t *seed)
{
	static const char bytes[] = "\r\n \r\n 0129.:afTCP46UNKNOW\0\x10\x11\x20\x21\xff";

	return draw(seed, 4) == 0 ? (char)draw(seed, 256)
				  : bytes[draw(seed, sizeof(bytes) - 1)];
}

/* A valid header with some bytes changed, left out or put in; or bytes by chance. Returns the length. */
static size_t draw_header(uint64_t *seed, char *ret)
{
	size_t which = draw(seed, LENGTH(valid) + 1), len = draw(seed, 120), at, n;

	if (which == LENGTH(valid)) {
		for (size_t i = 0; i < len; i++)
			ret[i] = likely(seed);
		return len;
	}
	len = valid[which].len;
	memcpy(ret, valid[which].bytes, len);
	for (size_t changes = draw(seed, 4); changes > 0; changes--) {
		at = draw(seed, len);
		n = draw(seed, 3); /* bytes that replace one */
		memmove(ret + at + n, ret + at + 1, len - at - 1);
		for (size_t i = 0; i < n; i++)
			ret[at + i] = likely(seed);
		len = len + n - 1;
	}
	for (n = draw(seed, 20); n > 0; n--)
		ret[len++] = likely(seed);
	return len;
}

/* Reads at most max bytes at once; checks what was read. Returns the state at the end. */
static enum proxy_header_state read_random(const char *bytes, size_t len, size_t max,
					   bool copied)
{
	struct connection c = { bytes, len, 0, copied };
	size_t end = header_end(bytes, len);
	struct proxy_header h;

	proxy_header_init(&h);
	read_until(&h, &c, len, max);
	switch (h.state) {
	case PROXY_HEADER_NAMED:
	case PROXY_HEADER_ANONYMOUS:
		if (c.read != end)
			ck_abort_msg("read %zu bytes of a header of %zu", c.read, end);
		break;
	case PROXY_HEADER_INCOMPLETE:
		if (c.read != len || (end != 0 && end <= len))
			ck_abort_msg("not complete at its end, %zu", end);
		break;
	case PROXY_HEADER_INVALID: break;
	}
	return h.state;
}

/* Single bytes cannot be too many; so the result of larger reads must be the same. */
START_TEST(of_random_bytes_never_one_is_read_beyond_a_header)
{
	size_t count[PROXY_HEADER_INVALID + 1] = { 0 };
	size_t n = rounds(1000000);
	uint64_t seed = 1;

	for (size_t i = 0; i < n; i++) {
		char bytes[256];
		size_t len = draw_header(&seed, bytes);
		size_t max = draw(&seed, 2) == 0 ? SIZE_MAX : 2 + draw(&seed, 40);
		enum proxy_header_state state = read_random(bytes, len, 1, false);

		if (read_random(bytes, len, max, i % 8 == 0) != state)
			ck_abort_msg("%zu: another result with single bytes", i);
		count[state]++;
	}
	for (size_t i = 0; i < LENGTH(count); i++)
		ck_assert_uint_gt(count[i], n / 50);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("proxy_header");
	TCase *tc = tcase_create("proxy_header");

	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 120); /* under valgrind */
	tcase_add_loop_test(
		tc, a_valid_header_in_pieces_of_any_size_is_read_and_nothing_behind_it, 0,
		LENGTH(valid));
	tcase_add_loop_test(tc, a_valid_header_may_be_cut_at_every_byte, 0,
			    LENGTH(valid));
	tcase_add_test(tc, what_is_wanted_is_not_much_less_than_what_is_missing);
	tcase_add_loop_test(tc, every_length_of_version_2_may_be_cut_at_every_byte, 0,
			    LENGTH(v2_kinds));
	tcase_add_loop_test(tc, a_length_that_is_less_than_the_addresses_is_refused, 0,
			    LENGTH(v2_kinds));
	tcase_add_loop_test(tc, what_is_malformed_is_refused_with_the_reason, 0,
			    LENGTH(invalid));
	tcase_add_test(tc, of_random_bytes_never_one_is_read_beyond_a_header);
	return suite_run(suite);
}
