/* SPDX-License-Identifier: MIT */
#include "ctl/html.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

static bool is_utf8(const char *text)
{
	json_t *string = json_string(text); /* NULL if it is not */

	json_decref(string);
	return string != NULL;
}

/* U+0080 to U+009F. */
static bool is_control(const char *p)
{
	return (unsigned char)p[0] == 0xc2 && (unsigned char)p[1] >= 0x80 &&
	       (unsigned char)p[1] < 0xa0;
}

void html_text(FILE *to, const char *text)
{
	static const char *const entities[128] = {
		['&'] = "&amp;",  ['<'] = "&lt;",   ['>'] = "&gt;",
		['"'] = "&quot;", ['\''] = "&#39;",
	};
	bool utf8 = is_utf8(text);

	for (const char *p = text; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c < 128 && entities[c])
			(void)fputs(entities[c], to);
		else if ((c < ' ' && c != '\n') || c == 0x7f || (c >= 128 && !utf8))
			(void)fprintf(to, "\\x%02x", c);
		else if (is_control(p))
			(void)fprintf(to, "\\x%02x", (unsigned char)*++p);
		else
			(void)fputc(c, to);
	}
}

static const char *const classes[] = {
	[HTML_TEXT] = "",
	[HTML_NUMBER] = " class=\"number\"",
	[HTML_LABEL] = " class=\"time\"",
	[HTML_SHARE] = " class=\"share\"",
};

void html_table_begin(FILE *to, const char *caption, const struct html_column *columns,
		      size_t n)
{
	/* what is too wide is scrolled, also with the keyboard */
	(void)fputs("<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"",
		    to);
	html_text(to, caption);
	(void)fputs("\">\n<table>\n<caption>", to);
	html_text(to, caption);
	(void)fputs("</caption>\n<thead>\n<tr>", to);
	for (size_t i = 0; i < n; i++) {
		(void)fprintf(to, "<th scope=\"col\"%s>", classes[columns[i].kind]);
		html_text(to, columns[i].name);
		(void)fputs("</th>", to);
	}
	(void)fputs("</tr>\n</thead>\n<tbody>\n", to);
}

static void write_share(FILE *to, const char *percent)
{
	(void)fprintf(
		to,
		"<svg width=\"100\" height=\"8\" viewBox=\"0 0 100 8\" role=\"img\" "
		"aria-label=\"%s %%\"><rect class=\"up\" width=\"%s\" height=\"8\" "
		"rx=\"2\"/></svg>",
		percent, percent);
}

void html_table_row(FILE *to, const struct html_column *columns, size_t n,
		    const char *const cells[])
{
	(void)fputs("<tr>", to);
	for (size_t i = 0; i < n; i++) {
		(void)fprintf(to, "<td%s%s>", classes[columns[i].kind],
			      columns[i].kind == HTML_TEXT ? " dir=\"auto\"" : "");
		if (columns[i].kind == HTML_SHARE)
			write_share(to, cells[i]);
		else
			html_text(to, cells[i]);
		(void)fputs("</td>", to);
	}
	(void)fputs("</tr>\n", to);
}

void html_table_end(FILE *to)
{
	(void)fputs("</tbody>\n</table>\n</div>\n", to);
}
