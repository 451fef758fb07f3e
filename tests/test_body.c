/* SPDX-License-Identifier: MIT */
/* body.c: where payload lies and where bodies end, compared with llhttp; chunks as they are written. */
#include "http/body.h"

#include "drawn.h"

/* s lies within the block. */
static bool is_within(struct slice s, struct slice block)
{
	return s.p >= block.p && s.p + s.len <= block.p + block.len;
}

/* The start, n times the text, and the end. */
static char *repeat(const char *start, const char *text, size_t n, const char *end_text)
{
	char *all = malloc(strlen(start) + n * strlen(text) + strlen(end_text) + 1);
	char *end = stpcpy(all, start);

	ck_assert_ptr_nonnull(all);
	for (size_t i = 0; i < n; i++)
		end = stpcpy(end, text);
	(void)stpcpy(end, end_text);
	return all;
}

/* ---- bodies that are not chunked */

START_TEST(a_body_of_known_length_ends_with_its_last_byte)
{
	struct body b;

	body_init(&b, HTTP1_NO_BODY, 0);
	ck_assert(b.done);
	body_init(&b, HTTP1_LENGTH, 0);
	ck_assert(b.done);
	body_init(&b, HTTP1_LENGTH, INT64_MAX);
	ck_assert(!b.done);
	body_passed(&b, INT64_MAX - 2);
	ck_assert_uint_eq(b.left, 2);
	body_passed(&b, 0);
	body_passed(&b, 1);
	ck_assert(!b.done);
	body_passed(&b, 1);
	ck_assert(b.done);
	ck_assert_uint_eq(b.left, 0);
}
END_TEST

START_TEST(a_body_until_close_does_not_end_by_itself)
{
	struct body b;

	body_init(&b, HTTP1_UNTIL_CLOSE, 0);
	body_passed(&b, UINT64_MAX);
	body_passed(&b, UINT64_MAX);
	ck_assert(!b.done);
	body_init(&b, HTTP1_CHUNKED, 0);
	ck_assert(!b.done);
}
END_TEST

/* ---- chunked bodies */

/* A body under way. What has not been taken lies in a block of exactly its size. */
struct reading {
	struct body body;
	char *rest;
	size_t rest_len;
	struct drawn payload;
};

static void reading_begin(struct reading *d)
{
	body_init(&d->body, HTTP1_CHUNKED, 0);
	d->rest = NULL;
	d->rest_len = d->payload.len = 0;
}

/* Appends to what is there and takes all that can be. Returns as body_next(). */
static int reading_add(struct reading *d, const char *p, size_t len)
{
	size_t whole = d->rest_len + len;
	struct buf in = { malloc(whole), whole, 0, whole };
	struct slice payload, block = buf_slice(&in);
	int r;

	ck_assert_ptr_nonnull(in.data);
	if (d->rest_len > 0)
		memcpy(in.data, d->rest, d->rest_len);
	memcpy(in.data + d->rest_len, p, len);
	free(d->rest);
	while ((r = body_next(&d->body, &in, &payload)) > 0) {
		if (payload.len == 0 || !is_within(payload, block))
			ck_abort_msg("payload that is not where it was read");
		drawn_put(&d->payload, payload.p, payload.len);
	}
	d->rest = in.data;
	d->rest_len = buf_len(&in);
	if (!d->body.done) { /* else trailers point into it */
		d->rest = exact(in.data + in.start, d->rest_len);
		free(in.data);
	}
	return r;
}

/* Likewise the whole text, `first` bytes at once and then `step` by `step`. */
static int reading_run(struct reading *d, const char *text, size_t len, size_t first,
		       size_t step)
{
	int r = 0;

	reading_begin(d);
	for (size_t n = 0, take = first; n < len && r == 0 && !d->body.done;
	     take = step) {
		if (take > len - n)
			take = len - n;
		if (take > 0)
			r = reading_add(d, text + n, take);
		n += take;
	}
	return r;
}

static void reading_end(struct reading *d)
{
	free(d->rest);
}

/* Tries every way to cut text in two, and byte by byte. */
static void read_every_way(const char *text, size_t len,
			   void (*check)(struct reading *d, int r, size_t row),
			   size_t row)
{
	static struct reading d;

	for (size_t first = 0; first <= len; first++) {
		check(&d, reading_run(&d, text, len, first, first == 0 ? 1 : len), row);
		reading_end(&d);
	}
}

static const struct {
	const char *text, *payload, *trailers;
	size_t len; /* of the body: what follows is another message's */
} bodies[] = {
#define BODY(text, payload, trailers, follows)                                      \
	{                                                                           \
		text trailers follows, payload, trailers, sizeof(text trailers) - 1 \
	}
	BODY("0\r\n", "", "\r\n", ""),
	BODY("000\r\n", "", "\r\n", ""),
	BODY("5\r\nhello\r\n0\r\n", "hello", "\r\n", ""),
	BODY("1\r\nh\r\n4\r\nello\r\n0\r\n", "hello", "\r\n", ""),
	BODY("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n", "01234567890123456789",
	     "\r\n", ""),
	BODY("10\r\n0\r\n\r\n0\r\n\r\n012345\r\n0\r\n", "0\r\n\r\n0\r\n\r\n012345",
	     "\r\n", ""),
	BODY("0000000000000000000000000000002\r\n\r\n\r\n0\r\n", "\r\n", "\r\n", ""),
	BODY("2;a\r\nhi\r\n0;b;c=\"d e\";f=g\r\n", "hi", "\r\n", ""),
	BODY("2;a=b;c=d;e\r\nhi\r\n0;a=b;c=\"d\"\r\n", "hi", "\r\n", ""),
	BODY("2;a=\"\x80\xff\"\r\nhi\r\n0\r\n", "hi", "\r\n", ""),
	BODY("2\r\nhi\r\n0\r\n", "hi", "\r\n", "GET / HTTP/1.1\r\n\r\n"),
	BODY("2\r\nhi\r\n0\r\n", "hi", "\r\n", "\r\n\r\n"),
	BODY("2\r\nhi\r\n0\r\n", "hi", "A: b\r\n\r\n", ""),
	BODY("2\r\nhi\r\n0;x\r\n", "hi", "A:\r\nContent-Length: 9\r\nA: \tb \x80\r\n\r\n",
	     "POST"),
#undef BODY
};

static void check_body(struct reading *d, int r, size_t i)
{
	size_t follows = strlen(bodies[i].text) - bodies[i].len;

	ck_assert_int_eq(r, 0);
	ck_assert(d->body.done);
	ck_assert_slice_eq(((struct slice){ d->payload.data, d->payload.len }),
			   bodies[i].payload);
	ck_assert_slice_eq(d->body.trailers, bodies[i].trailers);
	ck_assert_uint_le(d->rest_len, follows);
}

START_TEST(a_chunked_body_is_the_same_however_it_comes)
{
	for (size_t i = 0; i < LENGTH(bodies); i++)
		read_every_way(bodies[i].text, strlen(bodies[i].text), check_body, i);
}
END_TEST

START_TEST(a_chunked_body_ends_with_its_last_byte)
{
	static struct reading d;

	for (size_t i = 0; i < LENGTH(bodies); i++) {
		const char *text = bodies[i].text;
		size_t len = bodies[i].len;

		for (size_t n = 1; n < len; n++) {
			ck_assert_msg(reading_run(&d, text, n, n, 0) == 0, "%s: %s",
				      d.body.why, text);
			ck_assert(!d.body.done);
			reading_end(&d);
		}
		/* what follows is not consumed */
		ck_assert_int_eq(reading_run(&d, text, strlen(text), strlen(text), 0), 0);
		ck_assert(d.body.done);
		ck_assert_uint_eq(d.rest_len, strlen(text) - len);
		reading_end(&d);
	}
}
END_TEST

#define BAD_CHUNK   "malformed chunk"
#define LONG_CHUNK  "chunk extensions are too long"
#define BAD_TRAILER "malformed trailer field"

static const struct {
	const char *text, *payload; /* what was passed on before */
	const char *why;
} broken[] = {
	{ "\r\n", "", BAD_CHUNK },
	{ "\r\n5\r\nhello\r\n", "", BAD_CHUNK },
	{ "g\r\n", "", BAD_CHUNK },
	{ "0x5\r\nhello\r\n", "", BAD_CHUNK },
	{ "+5\r\nhello\r\n", "", BAD_CHUNK },
	{ "-5\r\nhello\r\n", "", BAD_CHUNK },
	{ " 5\r\nhello\r\n", "", BAD_CHUNK },
	{ "5 \r\nhello\r\n", "", BAD_CHUNK },
	{ "5\t\r\nhello\r\n", "", BAD_CHUNK },
	{ "5 ;a\r\nhello\r\n", "", BAD_CHUNK },
	{ "5,5\r\nhello\r\n", "", BAD_CHUNK },
	{ "5_\r\nhello\r\n", "", BAD_CHUNK },
	{ ";a\r\nhello\r\n", "", BAD_CHUNK },
	{ "10000000000000000\r\n", "", BAD_CHUNK },
	{ "10000000000000005\r\nhello\r\n", "", BAD_CHUNK },
	{ "5\nhello\r\n", "", BAD_CHUNK },
	{ "5\rhello\r\n", "", BAD_CHUNK },
	{ "5\r\rhello\r\n", "", BAD_CHUNK },
	{ "5;a\nhello\r\n", "", BAD_CHUNK },
	{ "5;a\rhello\r\n", "", BAD_CHUNK },
	{ "5;\rhello\r\n", "", BAD_CHUNK },
	{ "5;a=\"b\n\"\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;a=\"b\r\n\"\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;a\x01\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;a=\"\x7f\x01\"\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;;\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;=a\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;a=\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;a =b\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;a= b\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;a=b=c\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;a=b\"c\"\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;a=\"b\"c\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;a=\"b\\\"c\"\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;a=\"b\\\"\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;a=\"\t\"\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;a=b;\r\nhello\r\n", "", BAD_CHUNK },
	{ "5;\"a\"\r\nhello\r\n", "", BAD_CHUNK },
	{ "8000000000000000\r\n", "", BAD_CHUNK },
	{ "ffffffffffffffff\r\n", "", BAD_CHUNK },
	{ "5;\r\nhello\r\n", "", BAD_CHUNK },
	{ "5\r\nhello\n0\r\n\r\n", "hello", BAD_CHUNK },
	{ "5\r\nhello\r0\r\n\r\n", "hello", BAD_CHUNK },
	{ "5\r\nhello0\r\n\r\n", "hello", BAD_CHUNK },
	{ "5\r\nhelloworld\r\n", "hello", BAD_CHUNK },
	{ "5\r\nhello\r\n5\n", "hello", BAD_CHUNK },
	{ "0\n\r\n", "", BAD_CHUNK },
	{ "0\r\r\n", "", BAD_CHUNK },
	{ "0;\x01\r\n", "", BAD_CHUNK },
	{ "0\r\n\n", "", "line feed without carriage return" },
	{ "0\r\n\rX", "", "carriage return without line feed" },
	{ "0\r\nA: b\nC: d\r\n\r\n", "", "line feed without carriage return" },
	{ "0\r\nA: b\rC: d\r\n\r\n", "", "carriage return without line feed" },
	{ "0\r\nA: b\r\n c\r\n\r\n", "", "obsolete line folding" },
	{ "0\r\nA: \x01\r\n\r\n", "", "control character" },
	{ "0\r\n A: b\r\n\r\n", "", BAD_TRAILER },
	{ "0\r\nA : b\r\n\r\n", "", BAD_TRAILER },
	{ "0\r\n: b\r\n\r\n", "", BAD_TRAILER },
	{ "0\r\nA\r\n\r\n", "", BAD_TRAILER },
	{ "0\r\nA: b\r\nGET / HTTP/1.1\r\n\r\n", "", BAD_TRAILER },
};

static void check_broken(struct reading *d, int r, size_t i)
{
	ck_assert_msg(r == -EBADMSG, "accepted: %s", broken[i].text);
	ck_assert(!d->body.done);
	ck_assert_str_eq(d->body.why, broken[i].why);
	ck_assert_slice_eq(((struct slice){ d->payload.data, d->payload.len }),
			   broken[i].payload);
}

START_TEST(what_is_no_chunked_body_is_refused_however_it_comes)
{
	for (size_t i = 0; i < LENGTH(broken); i++)
		read_every_way(broken[i].text, strlen(broken[i].text), check_broken, i);
}
END_TEST

/* Reads what has a filler of so many bytes in the middle, at once and in two ways cut. */
static void expect_filled(const char *before, char filler, size_t n, const char *after,
			  const char *why)
{
	size_t len = strlen(before) + n + strlen(after);
	size_t steps[] = { len, 1000, 97 };
	static struct reading d;
	char *text = malloc(len + 1);

	ck_assert_ptr_nonnull(text);
	memset(text, filler, len);
	memcpy(text, before, strlen(before));
	(void)strcpy(text + strlen(before) + n, after);
	for (size_t i = 0; i < LENGTH(steps); i++) {
		int r = reading_run(&d, text, len, steps[i], steps[i]);

		ck_assert_int_eq(r, why ? -EBADMSG : 0);
		ck_assert(d.body.done == !why);
		if (why)
			ck_assert_str_eq(d.body.why, why);
		reading_end(&d);
	}
	free(text);
}

START_TEST(a_chunk_line_is_bounded)
{
	size_t max = BODY_CHUNK_LINE_MAX;

	/* with the end of the chunk before it: CRLF */
	for (size_t over = 0; over <= 1; over++) {
		const char *why = over ? LONG_CHUNK : NULL;

		expect_filled("2;", 'a', max - 4 + over, "\r\nhi\r\n0\r\n\r\n", why);
		expect_filled("2\r\nhi\r\n2;", 'a', max - 6 + over, "\r\nhi\r\n0\r\n\r\n",
			      why);
		expect_filled("2\r\nhi\r\n0;", 'a', max - 6 + over, "\r\n\r\n", why);
		expect_filled("", '0', max - 3 + over, "2\r\nhi\r\n0\r\n\r\n", why);
		expect_filled("", '0', max - 2 + over, "\r\n\r\n", why);
	}
}
END_TEST

START_TEST(a_chunk_line_that_is_too_long_is_refused_before_its_end)
{
	expect_filled("2;", 'a', BODY_CHUNK_LINE_MAX - 1, "", LONG_CHUNK);
	expect_filled("2\r\nhi\r\n", '0', BODY_CHUNK_LINE_MAX - 1, "", LONG_CHUNK);
}
END_TEST

START_TEST(chunk_lines_do_not_add_up)
{
	size_t chunks = BODY_CHUNK_LINE_MAX; /* of one byte each, each with a line */
	char *text = repeat("", "1\r\nx\r\n", chunks, "0\r\n\r\n");
	static struct reading d;

	for (size_t step = 1; step <= 1000; step += 333) {
		ck_assert_int_eq(reading_run(&d, text, strlen(text), step, step), 0);
		ck_assert(d.body.done);
		ck_assert_uint_eq(d.payload.len, chunks);
		reading_end(&d);
	}
	free(text);
}
END_TEST

START_TEST(payload_does_not_count_as_a_chunk_line)
{
	expect_filled("4000\r\n", 'x', 0x4000, "\r\n0\r\n\r\n", NULL);
}
END_TEST

START_TEST(trailers_are_bounded)
{
	size_t max = BODY_TRAILERS_MAX;
	const char *why = "trailer fields are too long";

	expect_filled("0\r\nA:", 'b', max - 6, "\r\n\r\n", NULL);
	expect_filled("0\r\nA:", 'b', max - 5, "\r\n\r\n", why);
	expect_filled("2\r\nhi\r\n0\r\nA:", 'b', max - 2, "",
		      why); /* without their end */

	for (size_t n = BODY_FIELDS_MAX; n <= BODY_FIELDS_MAX + 1; n++) {
		char *text = repeat("0\r\n", "A: b\r\n", n, "\r\n");

		expect_filled(text, 0, 0, "",
			      n <= BODY_FIELDS_MAX ? NULL : "too many trailer fields");
		free(text);
	}
}
END_TEST

/* ---- against llhttp */

/* The body as it is forwarded, with one new chunk for each payload. */
static void rewrite(struct drawn *text, struct drawn *ret)
{
	struct buf in = { text->data, text->len, 0, text->len };
	struct buf out = { ret->data, sizeof(ret->data), 0, 0 };
	struct slice payload;
	struct body body;

	body_init(&body, HTTP1_CHUNKED, 0);
	while (body_next(&body, &in, &payload) > 0) {
		ck_assert_int_eq(body_chunk_begin(payload.len, &out), 0);
		ck_assert_int_eq(buf_put_slice(&out, payload), 0);
		ck_assert_int_eq(body_chunk_end(&out), 0);
	}
	ck_assert(body.done);
	ck_assert_int_eq(body_chunk_last(body.trailers, &out), 0);
	ret->len = out.end;
}

/*
 * Whether an extension follows one with a value that is not quoted: to llhttp 8.1 that is none,
 * unlike to RFC 9112 7.1.1.
 */
static bool value_is_not_the_last(struct slice text)
{
	for (size_t i = slice_find(text, '='); i < text.len; i++) {
		size_t start = i + 1;

		while (i + 1 < text.len && lines_is_tchar((unsigned char)text.p[i + 1]))
			i++;
		if (i >= start && i + 1 < text.len && text.p[i + 1] == ';')
			return true;
	}
	return false;
}

static void expect_llhttp_reads(struct slice text, const struct reading *d)
{
	static struct drawn theirs;

	ck_assert_msg(llhttp_reads(text, &theirs) && theirs.len == d->payload.len &&
			      memcmp(theirs.data, d->payload.data, theirs.len) == 0,
		      "not so to llhttp: %.*s", SLICE_FMT(text));
}

/* True where it was taken, and then llhttp takes it too, for the same. */
static bool compare(struct drawn *text, size_t step)
{
	static struct drawn rewritten;
	static struct reading d;
	struct slice whole = { text->data, text->len };
	bool taken =
		reading_run(&d, text->data, text->len, step, step) == 0 && d.body.done;

	if (taken) {
		/* steps leave less than one behind the body: what of it is read is exact */
		reading_end(&d);
		ck_assert_int_eq(reading_run(&d, text->data, text->len, text->len, 0), 0);
		whole.len -= d.rest_len;
		if (!value_is_not_the_last(whole))
			expect_llhttp_reads(whole, &d);
		rewrite(text, &rewritten);
		expect_llhttp_reads((struct slice){ rewritten.data, rewritten.len }, &d);
	}
	reading_end(&d);
	return taken;
}

START_TEST(what_is_taken_is_the_same_to_llhttp)
{
	size_t n = rounds(3000), faulty_taken = 0, refused = 0;
	uint64_t seed = 1;

	for (size_t i = 0; i < n; i++) {
		static struct drawn text;
		size_t step = 1 + draw(&seed, 50);

		draw_body(&seed, &text);
		ck_assert(compare(&text, step));
		for (size_t faults = 1 + draw(&seed, 2); faults > 0; faults--)
			draw_fault(&seed, &text);
		if (compare(&text, step))
			faulty_taken++; /* it hit payload, or was none */
		else
			refused++;
	}
	/* or nothing has been compared */
	ck_assert_uint_gt(faulty_taken, n / 6);
	ck_assert_uint_gt(refused, n / 6);
}
END_TEST

/* All short lines of a last chunk, of what means something in them. */
START_TEST(every_short_chunk_line_is_judged_as_strictly)
{
	static const char bytes[] = "0a;=\"\r\n \\\x80";
	size_t n = sizeof(bytes) - 1, longest = RUNNING_ON_VALGRIND ? 3 : 4, taken = 0;

	for (size_t len = 0; len <= longest; len++) {
		size_t lines = 1;

		for (size_t i = 0; i < len; i++)
			lines *= n;
		for (size_t line = 0; line < lines; line++) {
			static struct drawn text;

			text.len = 0;
			drawn_say(&text, "0");
			for (size_t i = 0, at = line; i < len; i++, at /= n)
				drawn_put(&text, &bytes[at % n], 1);
			drawn_say(&text, "\r\n\r\n");
			taken += compare(&text, text.len);
		}
	}
	ck_assert_uint_gt(taken, n);
}
END_TEST

/* ---- chunks as they are written */

START_TEST(a_chunk_is_its_size_and_its_bytes)
{
	static const struct {
		size_t len;
		const char *before;
	} table[] = {
		{ 1, "1\r\n" },
		{ 15, "f\r\n" },
		{ 16, "10\r\n" },
		{ 0x1234, "1234\r\n" },
		{ 0x60c0de, "60c0de\r\n" },
		{ SIZE_MAX, "ffffffffffffffff\r\n" },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		size_t cap = strlen(table[i].before) + strlen("\r\n");
		struct buf out = { malloc(cap), cap, 0,
				   0 }; /* no byte more than it takes */

		ck_assert_uint_le(cap, BODY_FRAME_MAX);
		ck_assert_int_eq(body_chunk_begin(table[i].len, &out), 0);
		ck_assert_slice_eq(buf_slice(&out), table[i].before);
		ck_assert_int_eq(body_chunk_end(&out), 0);
		ck_assert_uint_eq(out.end, cap);
		ck_assert_int_eq(memcmp(out.data + cap - 2, "\r\n", 2), 0);
		ck_assert_int_eq(body_chunk_end(&out), -ENOBUFS);
		free(out.data);
	}
}
END_TEST

START_TEST(the_last_chunk_has_trailers_that_concern_the_receiver)
{
	static const char *const table[][2] = {
		{ "", "0\r\n\r\n" },
		{ "\r\n", "0\r\n\r\n" },
		{ "A:b\r\nc: \t d e\t\r\n\r\n", "0\r\nA: b\r\nc: d e\r\n\r\n" },
		{ "Content-Length: 1\r\nTransfer-Encoding: x\r\nHost: h\r\nConnection: close\r\n"
		  "Keep-Alive: 1\r\nUpgrade: x\r\nTE: x\r\nProxy-X: x\r\nForwarded: x\r\n"
		  "X-Forwarded-For: x\r\nX-Real-IP: x\r\nA_B: x\r\nX-Novnc-User: x\r\n"
		  "X: y\r\n\r\n",
		  "0\r\nX: y\r\n\r\n" },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice trailers = exact_str(table[i][0]);
		size_t len = strlen(table[i][1]);

		for (size_t cap = 0; cap <= len; cap++) {
			struct buf out = { malloc(cap), cap, 0, 0 };

			ck_assert_int_eq(body_chunk_last(trailers, &out),
					 cap < len ? -ENOBUFS : 0);
			if (cap == len)
				ck_assert_slice_eq(buf_slice(&out), table[i][1]);
			free(out.data);
		}
		slice_free(trailers);
	}
}
END_TEST

/* As many fields as there may be, in a section as long as it may be, each gaining a space. */
START_TEST(the_last_chunk_fits_where_there_is_room_for_it)
{
	static char section[BODY_TRAILERS_MAX + 1];
	char storage[BODY_LAST_MAX];
	struct buf out = { storage, sizeof(storage), 0, 0 };
	size_t len = 0;

	for (size_t i = 0; i < BODY_FIELDS_MAX - 1; i++)
		len += (size_t)sprintf(section + len, "A:b\r\n");
	section[len++] = 'C';
	section[len++] = ':';
	memset(section + len, 'd', BODY_TRAILERS_MAX - 4 - len);
	(void)strcpy(section + BODY_TRAILERS_MAX - 4, "\r\n\r\n");
	ck_assert_int_eq(body_chunk_last(slice_str(section), &out), 0);
	ck_assert_uint_eq(buf_len(&out), BODY_TRAILERS_MAX + 3 + BODY_FIELDS_MAX);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("body");
	TCase *plain = tcase_create("not chunked"), *chunked = tcase_create("chunked");
	TCase *both = tcase_create("against llhttp"), *written = tcase_create("written");

	suite_add_tcase(suite, plain);
	tcase_add_test(plain, a_body_of_known_length_ends_with_its_last_byte);
	tcase_add_test(plain, a_body_until_close_does_not_end_by_itself);

	suite_add_tcase(suite, chunked);
	tcase_set_timeout(chunked, 120); /* under valgrind */
	tcase_add_test(chunked, a_chunked_body_is_the_same_however_it_comes);
	tcase_add_test(chunked, a_chunked_body_ends_with_its_last_byte);
	tcase_add_test(chunked, what_is_no_chunked_body_is_refused_however_it_comes);
	tcase_add_test(chunked, a_chunk_line_is_bounded);
	tcase_add_test(chunked, a_chunk_line_that_is_too_long_is_refused_before_its_end);
	tcase_add_test(chunked, chunk_lines_do_not_add_up);
	tcase_add_test(chunked, payload_does_not_count_as_a_chunk_line);
	tcase_add_test(chunked, trailers_are_bounded);

	suite_add_tcase(suite, both);
	tcase_set_timeout(both, 120);
	tcase_add_test(both, what_is_taken_is_the_same_to_llhttp);
	tcase_add_test(both, every_short_chunk_line_is_judged_as_strictly);

	suite_add_tcase(suite, written);
	tcase_set_timeout(written, 60);
	tcase_add_test(written, a_chunk_is_its_size_and_its_bytes);
	tcase_add_test(written, the_last_chunk_has_trailers_that_concern_the_receiver);
	tcase_add_test(written, the_last_chunk_fits_where_there_is_room_for_it);
	return suite_run(suite);
}
