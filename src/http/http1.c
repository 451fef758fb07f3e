/* SPDX-License-Identifier: MIT */
/* HTTP/1 heads; the only file that includes llhttp.h. No I/O. */
#include "http/http1.h"

#include <ctype.h>
#include <llhttp.h>

/* A longer Keep-Alive time-out is cut to this (seconds). */
#define HTTP1_KEEP_ALIVE_MAX_SEC 86400

/* The content of Content-Length and Transfer-Encoding. */
struct framing {
	bool has_content_length;
	bool chunked;      /* the last transfer coding is chunked */
	bool other_coding; /* there is another coding */
};

static int refuse(struct http1_fault *fault, unsigned status, const char *why)
{
	*fault = (struct http1_fault){ status, why };
	return -EBADMSG;
}

/* Adds one Transfer-Encoding field; false if an element is empty or follows `chunked`. */
static bool codings_add(struct framing *f, struct slice list)
{
	struct slice coding;

	while (slice_split(&list, ',', &coding)) {
		coding = slice_trim(coding);
		if (coding.len == 0 || f->chunked)
			return false;
		if (slice_caseeq(coding, SLICE("chunked")))
			f->chunked = true;
		else
			f->other_coding = true;
	}
	return true;
}

/*
 * Sets the framing that those fields define (RFC 9112 6.1 and 6.3), for every kind of message.
 * Also refuses faults that the RFC lets a recipient repair, such as equal Content-Length values.
 */
static int framing_parse(struct http1_head *h, bool http10, struct framing *f,
			 struct http1_fault *fault)
{
	bool coded;

	h->length = 0;
	for (size_t i = 0; i < h->fields; i++) {
		const struct field *field = &h->field[i];

		if (slice_caseeq(field->name, SLICE("Content-Length"))) {
			if (f->has_content_length)
				return refuse(fault, 400, "more than one Content-Length");
			f->has_content_length = true;
			if (!slice_number(field->value, INT64_MAX, &h->length))
				return refuse(fault, 400, "malformed Content-Length");
		} else if (slice_caseeq(field->name, SLICE("Transfer-Encoding"))) {
			if (!codings_add(f, field->value))
				return refuse(fault, 400, "malformed Transfer-Encoding");
		}
	}
	coded = f->chunked || f->other_coding;
	if (coded && f->has_content_length)
		return refuse(fault, 400,
			      "Transfer-Encoding together with Content-Length");
	if (coded && http10)
		return refuse(fault, 400, "Transfer-Encoding with HTTP/1.0");
	if (coded && !f->chunked)
		return refuse(fault, 400, "Transfer-Encoding does not end in chunked");
	h->framing = f->chunked              ? HTTP1_CHUNKED
		     : f->has_content_length ? HTTP1_LENGTH
					     : HTTP1_NO_BODY;
	return 0;
}

static int fields_parse(struct slice rest, struct http1_head *h,
			struct http1_fault *fault)
{
	struct field field;
	int r;

	while ((r = lines_field(&rest, &field)) > 0) {
		if (h->fields == HTTP1_FIELDS_MAX)
			return refuse(fault, 431, "too many header fields");
		h->field[h->fields++] = field;
	}
	return r < 0 ? refuse(fault, 400, "malformed header field") : 0;
}

static int on_headers_complete(llhttp_t *parser)
{
	(void)parser;
	return HPE_PAUSED; /* body.c reads the body */
}

/*
 * Gives llhttp the head with a space in place of each tab. HTTP allows both around a value (RFC
 * 9110 5.6.3), but llhttp 8.1 refuses a tab after a Content-Length, and takes a tab after a transfer
 * coding or a Connection option as part of that name. No such tab is forwarded: the gate writes
 * Content-Length, Transfer-Encoding and Connection itself, and all other fields without the white
 * space around their values.
 */
static llhttp_errno_t feed(llhttp_t *parser, struct slice raw)
{
	llhttp_errno_t err = HPE_OK;
	struct slice part;

	while (err == HPE_OK && slice_split(&raw, '\t', &part)) {
		err = llhttp_execute(parser, part.p, part.len);
		if (err == HPE_OK && raw.p)
			err = llhttp_execute(parser, " ", 1);
	}
	return err;
}

/*
 * Reads a head once more, with the parser of Next.js. Returns HPE_OK if that also finds it well
 * formed, with the same end and the same framing of the body; else llhttp's errno.
 */
static llhttp_errno_t reread(llhttp_type_t type, struct slice raw,
			     const struct http1_head *h)
{
	llhttp_settings_t settings;
	llhttp_errno_t err;
	llhttp_t parser;

	llhttp_settings_init(&settings);
	settings.on_headers_complete = on_headers_complete;
	llhttp_init(&parser, type, &settings);
	err = feed(&parser, raw);
	if (err != HPE_PAUSED)
		return err == HPE_OK ? HPE_INVALID_EOF_STATE : err;
	if (llhttp_get_error_pos(&parser) != raw.p + raw.len ||
	    ((parser.flags & F_CHUNKED) != 0) != (h->framing == HTTP1_CHUNKED) ||
	    parser.content_length != h->length)
		return HPE_STRICT;
	return HPE_OK;
}

/* "HTTP/" DIGIT "." DIGIT, RFC 9112 2.3. */
static bool version_parse(struct slice s, unsigned *major, unsigned *minor)
{
	if (s.len != strlen("HTTP/1.1") || memcmp(s.p, "HTTP/", 5) != 0 ||
	    s.p[6] != '.' || !isdigit((unsigned char)s.p[5]) ||
	    !isdigit((unsigned char)s.p[7]))
		return false;
	*major = (unsigned)(s.p[5] - '0');
	*minor = (unsigned)(s.p[7] - '0');
	return true;
}

/* Visible ASCII without a fragment (RFC 9112 3.2). */
static bool is_target(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= 0x20 || c >= 0x7f || c == '#')
			return false;
	}
	return s.len > 0;
}

/* The line, without its CRLF, RFC 9112 3. */
static bool request_line_parse(struct slice line, unsigned *major, struct http1_head *ret)
{
	struct slice version;

	return slice_split(&line, ' ', &ret->method) && lines_is_token(ret->method) &&
	       slice_split(&line, ' ', &ret->target) && is_target(ret->target) &&
	       slice_split(&line, ' ', &version) && !line.p &&
	       version_parse(version, major, &ret->minor);
}

int http1_parse_request(struct slice raw, struct http1_head *ret,
			struct http1_fault *fault)
{
	struct slice rest = raw, line = lines_next(&rest);
	struct framing f = { 0 };
	unsigned major;
	llhttp_errno_t err;

	ret->fields = 0;
	if (!request_line_parse(line, &major, ret))
		return refuse(fault, 400, "malformed request line");
	if (fields_parse(rest, ret, fault) < 0 ||
	    framing_parse(ret, major == 1 && ret->minor == 0, &f, fault) < 0)
		return -EBADMSG;
	if (major != 1 || ret->minor > 1)
		return refuse(fault, 505, "HTTP version is neither 1.0 nor 1.1");
	if (slice_eq(ret->method, SLICE("CONNECT")) ||
	    slice_eq(ret->method, SLICE("TRACE")))
		return refuse(fault, 405, "method not allowed");
	if (f.other_coding)
		return refuse(fault, 501, "transfer coding other than chunked");
	err = reread(HTTP_REQUEST, raw, ret);
	/* HPE_INVALID_CONSTANT: a method of RTSP, which llhttp does not accept with HTTP */
	if (err == HPE_INVALID_METHOD || err == HPE_INVALID_CONSTANT)
		return refuse(fault, 501, "unknown method");
	if (err != HPE_OK)
		return refuse(fault, 400, "malformed request head");
	return 0;
}

bool http1_request_line(struct slice in, struct http1_head *ret)
{
	struct slice line = { in.p, slice_find(in, '\r') };
	unsigned major;

	return in.len - line.len >= 2 && in.p[line.len + 1] == '\n' &&
	       request_line_parse(line, &major, ret);
}

/* RFC 9112 4; some servers leave out the space before an empty reason phrase. */
static bool status_line_parse(struct slice line, struct http1_head *h)
{
	struct slice version, digits;
	unsigned major;
	uint64_t status;

	if (!slice_split(&line, ' ', &version) ||
	    !version_parse(version, &major, &h->minor) || major != 1 || h->minor > 1 ||
	    !slice_split(&line, ' ', &digits) || digits.len != 3 ||
	    !slice_number(digits, 999, &status))
		return false;
	h->status = (unsigned)status;
	h->reason = line.p ? line : SLICE("");
	return true;
}

int http1_parse_response(struct slice raw, struct slice request_method,
			 struct http1_head *ret, struct http1_fault *fault)
{
	struct slice rest = raw, line = lines_next(&rest);
	struct framing f = { 0 };

	ret->fields = 0;
	if (!status_line_parse(line, ret))
		return refuse(fault, 502, "no HTTP/1.1 status line");
	if (ret->status < 100 || ret->status > 599) /* RFC 9110 15 */
		return refuse(fault, 502, "status code is not between 100 and 599");
	if (fields_parse(rest, ret, fault) < 0 ||
	    framing_parse(ret, ret->minor == 0, &f, fault) < 0)
		return refuse(fault, 502, fault->why);
	if (f.other_coding)
		return refuse(fault, 502, "transfer coding other than chunked");
	if (reread(HTTP_RESPONSE, raw, ret) != HPE_OK)
		return refuse(fault, 502, "malformed response head");
	if (slice_eq(request_method, SLICE("HEAD")) || ret->status < 200 ||
	    ret->status == 204 || ret->status == 304)
		ret->framing = HTTP1_NO_BODY;
	else if (ret->framing == HTTP1_NO_BODY)
		ret->framing = HTTP1_UNTIL_CLOSE;
	return 0;
}

bool http1_may_be_response(struct slice in)
{
	struct slice start = SLICE("HTTP/1.");

	if (in.len < start.len)
		start.len = in.len;
	in.len = start.len;
	return slice_eq(in, start);
}

const char *http1_foreign_hint(struct slice in)
{
	if (slice_casestarts(in, SLICE("RFB ")))
		return " but RFB: Url= must point to websockify, not to the VNC server";
	if (slice_casestarts(in, SLICE("\x15\x03"))) /* an alert */
		return " but TLS: Url= must begin with https://";
	return "";
}

const struct field *http1_field(const struct http1_head *h, struct slice name)
{
	for (size_t i = 0; i < h->fields; i++)
		if (slice_caseeq(h->field[i].name, name))
			return &h->field[i];
	return NULL;
}

size_t http1_count(const struct http1_head *h, struct slice name)
{
	size_t n = 0;

	for (size_t i = 0; i < h->fields; i++)
		n += slice_caseeq(h->field[i].name, name);
	return n;
}

struct slice http1_only(const struct http1_head *h, struct slice name)
{
	const struct field *field = http1_field(h, name);

	return field && http1_count(h, name) == 1 ? field->value : SLICE("");
}

bool http1_list_next(struct http1_list *l, struct slice *ret)
{
	for (;;) {
		const struct field *field;
		struct slice element;

		while (slice_split(&l->rest, ',', &element)) {
			element = slice_trim(element);
			if (element.len == 0)
				continue;
			*ret = element;
			return true;
		}
		if (l->fields == l->head->fields)
			return false;
		field = &l->head->field[l->fields++];
		if (slice_caseeq(field->name, l->name))
			l->rest = field->value;
	}
}

bool http1_has_token(const struct http1_head *h, struct slice name, struct slice token)
{
	struct http1_list elements = { .head = h, .name = name };
	struct slice element;

	while (http1_list_next(&elements, &element))
		if (slice_caseeq(element, token))
			return true;
	return false;
}

bool http1_is_idempotent(struct slice method)
{
	static const char *const names[] = { "GET", "HEAD", "OPTIONS", "PUT", "DELETE" };

	for (size_t i = 0; i < COUNT(names); i++)
		if (slice_eq(method, slice_str(names[i])))
			return true;
	return false;
}

bool http1_persistent(const struct http1_head *h)
{
	if (h->framing == HTTP1_UNTIL_CLOSE ||
	    http1_has_token(h, SLICE("Connection"), SLICE("close")))
		return false;
	return h->minor > 0 ||
	       http1_has_token(h, SLICE("Connection"), SLICE("keep-alive"));
}

uint64_t http1_keep_alive_ms(const struct http1_head *h)
{
	struct http1_list parameters = { .head = h, .name = SLICE("Keep-Alive") };
	struct slice item;
	uint64_t seconds;

	while (http1_list_next(&parameters, &item)) {
		if (!slice_casestarts(item, SLICE("timeout=")))
			continue;
		item = slice_from(item, strlen("timeout="));
		(void)slice_take_number(&item, &seconds); /* no digits: 0 */
		return 1000 * (seconds < HTTP1_KEEP_ALIVE_MAX_SEC
				       ? seconds
				       : HTTP1_KEEP_ALIVE_MAX_SEC);
	}
	return CLOCK_INFINITY;
}
