/* SPDX-License-Identifier: MIT */
/* Lines, comments, continuation lines, sections and assignments. No I/O. */
#include "config/config_syntax.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static enum config_syntax_kind error(
	struct config_syntax_item *item, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(item->why, sizeof(item->why), fmt, ap); /* fits */
	va_end(ap);
	return CONFIG_SYNTAX_ERROR;
}

/* Removes white space from both ends. */
static char *trim(char *s)
{
	size_t len;

	s += strspn(s, CONFIG_BLANK);
	len = strlen(s);
	while (len > 0 && strchr(CONFIG_BLANK, s[len - 1]))
		len--;
	s[len] = '\0';
	return s;
}

/* Refuses long lines and control characters, except tabs and, as the last byte, a CR. */
static bool check_line(const char *p, size_t len, struct config_syntax_item *item)
{
	if (len > CONFIG_LINE_MAX) {
		error(item, "the line is longer than %d bytes; split it after a \\",
		      CONFIG_LINE_MAX);
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)p[i];

		if ((c < ' ' && c != '\t' && !(c == '\r' && i + 1 == len)) || c == 0x7f) {
			error(item, "the byte 0x%02x is not text", c);
			return false;
		}
	}
	return true;
}

/* True for an odd number of backslashes at the end: in a pair, one escapes the other. */
static bool is_continued(const char *line, size_t len)
{
	size_t n = 0;

	while (n < len && line[len - 1 - n] == '\\')
		n++;
	return n % 2 == 1;
}

/* Takes the next line, without leading white space. Returns NULL with an error. */
static char *next_line(struct config_syntax *s, struct config_syntax_item *item)
{
	char *line = s->next, *eol = memchr(line, '\n', (size_t)(s->end - line));
	size_t len;

	if (!eol)
		eol = s->end;
	len = (size_t)(eol - line);
	s->next = eol < s->end ? eol + 1 : eol;
	s->line++;
	if (!check_line(line, len, item)) {
		item->line = s->line;
		s->next = s->end; /* probably the rest is not text either */
		return NULL;
	}
	if (len > 0 && line[len - 1] == '\r')
		len--;
	line[len] = '\0';
	return line + strspn(line, CONFIG_BLANK);
}

/*
 * Takes the next line and joins its continuation lines to it; skips comments, also those
 * between them. Returns NULL at the end of the text or with an error.
 */
static char *next_joined(struct config_syntax *s, struct config_syntax_item *item)
{
	char *joined = NULL, *line;
	size_t joined_len = 0, len;

	while (s->next < s->end) {
		line = next_line(s, item);
		if (!line)
			return NULL;
		if (!joined)
			item->line = s->line;
		if (*line == '#' || *line == ';')
			continue;
		len = strlen(line);
		if (!joined)
			joined = line;
		memmove(joined + joined_len, line, len + 1);
		joined_len += len;
		if (!is_continued(joined, joined_len))
			return joined;
		joined[joined_len - 1] = ' ';
	}
	return joined; /* the text ended after a backslash; NULL: no line was left */
}

static enum config_syntax_kind section_parse(char *line, struct config_syntax_item *ret)
{
	char *end = line + strlen(line) - 1;

	if (*end != ']')
		return error(ret, "%.80s does not end in ]", line);
	*end = '\0';
	ret->name = line + 1;
	return CONFIG_SYNTAX_SECTION;
}

static enum config_syntax_kind assignment_parse(char *line,
						struct config_syntax_item *ret)
{
	char *equals = strchr(line, '=');

	if (!equals)
		return error(ret,
			     "%.80s is neither [Section] nor Key=Value nor # comment",
			     line);
	*equals = '\0';
	ret->name = trim(line);
	ret->value = trim(equals + 1);
	return CONFIG_SYNTAX_ASSIGNMENT;
}

void config_syntax_init(struct config_syntax *s, char *text, size_t len)
{
	/* some editors write a byte order mark */
	bool has_mark = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0;

	assert(text[len] == '\0');
	*s = (struct config_syntax){ .next = text + (has_mark ? 3 : 0),
				     .end = text + len };
}

enum config_syntax_kind config_syntax_next(struct config_syntax *s,
					   struct config_syntax_item *ret)
{
	char *line;

	ret->why[0] = '\0';
	do {
		line = next_joined(s, ret);
		if (!line)
			return ret->why[0] ? CONFIG_SYNTAX_ERROR : CONFIG_SYNTAX_END;
		line = trim(line);
	} while (*line == '\0');
	return *line == '[' ? section_parse(line, ret) : assignment_parse(line, ret);
}
