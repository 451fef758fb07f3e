/* SPDX-License-Identifier: MIT */
#include "http/lines.h"

/* RFC 9110 5.6.2 */
static const bool tchar[256] = {
	['!'] = true,         ['#' ... '\''] = true, ['*'] = true,
	['+'] = true,         ['-'] = true,          ['.'] = true,
	['0' ... '9'] = true, ['A' ... 'Z'] = true,  ['^' ... 'z'] = true,
	['|'] = true,         ['~'] = true,
};

bool lines_is_tchar(unsigned char c)
{
	return tchar[c];
}

static size_t token_span(struct slice s)
{
	size_t n = 0;

	while (n < s.len && tchar[(unsigned char)s.p[n]])
		n++;
	return n;
}

bool lines_is_token(struct slice s)
{
	return s.len > 0 && token_span(s) == s.len;
}

/* The number of bytes before the first control character in s; looks at eight at a time. */
static size_t text_span(struct slice s)
{
	const uint64_t ones = UINT64_MAX / 255, tops = 0x80 * ones;
	size_t n = 0;

	while (s.len - n >= sizeof(uint64_t)) {
		uint64_t eight, x;

		memcpy(&eight, s.p + n, sizeof(eight));
		x = eight ^ 0x7f * ones; /* a DEL becomes 0 */
		/* a byte less than its subtrahend borrows, which sets its top bit */
		if (((eight - ' ' * ones) & ~eight & tops) | ((x - ones) & ~x & tops))
			break;
		n += sizeof(eight);
	}
	while (n < s.len && (unsigned char)s.p[n] >= ' ' && s.p[n] != 0x7f)
		n++;
	return n;
}

/* NULL, or the reason why byte c may not stand at s->pos; the current line began at s->line. */
static const char *fault_at(const struct lines_scan *s, unsigned char c, bool after_cr)
{
	if (after_cr && c != '\n')
		return "carriage return without line feed";
	if (c == '\n' && !after_cr)
		return "line feed without carriage return";
	if (s->pos == s->line && s->lines > 0 && (c == ' ' || c == '\t'))
		return "obsolete line folding";
	if (c == 0x7f || (c < 0x20 && c != '\t' && c != '\r' && c != '\n'))
		return "control character";
	return NULL;
}

ssize_t lines_scan(struct lines_scan *s, struct slice in, size_t max)
{
	size_t end = in.len < max ? in.len : max;

	for (; s->pos < end; s->pos++) {
		bool after_cr = s->pos > s->line && in.p[s->pos - 1] == '\r';

		/* skip text that needs no check; a line's first byte and the byte after CR need one */
		if (s->pos > s->line && !after_cr)
			s->pos +=
				text_span((struct slice){ in.p + s->pos, end - s->pos });
		if (s->pos == end)
			break;
		s->why = fault_at(s, (unsigned char)in.p[s->pos], after_cr);
		if (s->why)
			return -EBADMSG;
		if (in.p[s->pos] != '\n')
			continue;
		if (s->pos - s->line == 1) /* an empty line */
			return (ssize_t)++s->pos;
		s->line = s->pos + 1;
		s->lines++;
	}
	return s->pos < max ? -EAGAIN : -EMSGSIZE;
}

struct slice lines_next(struct slice *rest)
{
	struct slice line = { rest->p, slice_find(*rest, '\r') };

	*rest = slice_from(*rest, line.len + strlen("\r\n"));
	return line;
}

int lines_field(struct slice *rest, struct field *ret)
{
	struct slice line = lines_next(rest);
	size_t len = token_span(line);

	if (line.len == 0)
		return 0;
	if (len == 0 || len == line.len || line.p[len] != ':')
		return -EBADMSG;
	*ret = (struct field){ { line.p, len }, slice_trim(slice_from(line, len + 1)) };
	return 1;
}
