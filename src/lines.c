/* SPDX-License-Identifier: MIT */
/* The raw lines of a head or a trailer section. No I/O. */
#include "lines.h"

#include <ctype.h>

bool lines_is_tchar(unsigned char c)
{
	return c < 0x80 && (isalnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c)));
}

bool lines_is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!lines_is_tchar((unsigned char)s.p[i]))
			return false;
	return s.len > 0;
}

static ssize_t refuse(struct lines_scan *s, const char *why)
{
	s->why = why;
	return -EBADMSG;
}

/* Whether the line that begins at `line` and has this byte at `pos` may go on with it. */
static const char *fault_at(const struct lines_scan *s, unsigned char c, bool after_cr)
{
	if (after_cr && c != '\n')
		return "a carriage return without a line feed";
	if (c == '\n' && !after_cr)
		return "a line feed without a carriage return";
	if (s->pos == s->line && s->lines > 0 && (c == ' ' || c == '\t'))
		return "a folded header line";
	if (c == 0x7f || (c < 0x20 && c != '\t' && c != '\r' && c != '\n'))
		return "a control character";
	return NULL;
}

ssize_t lines_scan(struct lines_scan *s, struct slice in, size_t max)
{
	size_t end = in.len < max ? in.len : max;

	for (; s->pos < end; s->pos++) {
		bool after_cr = s->pos > s->line && in.p[s->pos - 1] == '\r';
		const char *why = fault_at(s, (unsigned char)in.p[s->pos], after_cr);

		if (why)
			return refuse(s, why);
		if (in.p[s->pos] != '\n')
			continue;
		if (s->pos - s->line == 1) /* nothing but its CRLF */
			return (ssize_t)++s->pos;
		s->line = s->pos + 1;
		s->lines++;
	}
	return s->pos < max ? -EAGAIN : -EMSGSIZE;
}

struct slice lines_take(struct slice *rest)
{
	struct slice line = { rest->p, slice_find(*rest, '\r') };

	*rest = slice_from(*rest, line.len + strlen("\r\n"));
	return line;
}

int lines_field(struct slice *rest, struct field *ret)
{
	struct slice line = lines_take(rest);
	size_t colon = slice_find(line, ':');
	struct slice name = { line.p, colon };

	if (line.len == 0)
		return 0;
	if (colon == line.len || !lines_is_token(name))
		return -EBADMSG;
	*ret = (struct field){ name, slice_trim(slice_from(line, colon + 1)) };
	return 1;
}
