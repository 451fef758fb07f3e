/* SPDX-License-Identifier: MIT */
#include "ctl/chart.h"

#include <inttypes.h>
#include <stdbool.h>

#include "ctl/html.h"

/* In the units of viewBox. */
#define WIDTH   720
#define HEIGHT  220
#define LEFT    52 /* the numbers of the vertical axis */
#define RIGHT   16
#define TOP     12
#define BOTTOM  28 /* the ticks */
#define BASE    (HEIGHT - BOTTOM)
#define BAR_MAX 48.0

/* The width of a character in the text of a tick. Between two texts there is room for two. */
#define CHARACTER 7

#define LINES 5 /* horizontal ones, at most */

static const char *const classes[CHART_SERIES] = { "up", "down" };

static size_t series_of(const struct chart *c)
{
	return c->series[1] ? 2 : 1;
}

static uint64_t largest(const struct chart *c)
{
	uint64_t max = 0;

	for (size_t i = 0; i < c->n; i++)
		for (size_t s = 0; s < series_of(c); s++)
			max = c->bar[i].value[s] > max ? c->bar[i].value[s] : max;
	return max;
}

/* The distance between two horizontal lines, 1, 2, 5, 10, 20 and so on: LINES of them reach max. */
static uint64_t step_for(uint64_t max)
{
	static const uint64_t factors[] = { 1, 2, 5 };
	uint64_t power = 1;

	for (;; power *= 10)
		for (size_t i = 0; i < sizeof(factors) / sizeof(factors[0]); i++)
			if (power * factors[i] * LINES >= max)
				return power * factors[i];
}

struct scale {
	double bar;   /* the width of a bar's place */
	uint64_t top; /* the value at the top */
	uint64_t step;
};

static double y_of(const struct scale *s, uint64_t value)
{
	return BASE - (double)(BASE - TOP) * (double)value / (double)s->top;
}

static double x_of(const struct scale *s, size_t i)
{
	return LEFT + s->bar * (double)i;
}

static void write_lines(const struct scale *s, FILE *to)
{
	for (uint64_t v = 0; v <= s->top; v += s->step) {
		bool thousands = v >= 100000; /* such a step is a multiple of 1000 */
		double y = y_of(s, v);

		(void)fprintf(to,
			      "<line class=\"%s\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" "
			      "y2=\"%.1f\"/><text x=\"%d\" y=\"%.1f\" "
			      "text-anchor=\"end\">%" PRIu64 "%s</text>\n",
			      v == 0 ? "axis" : "line", LEFT, WIDTH - RIGHT, y, y,
			      LEFT - 6, y + 4, thousands ? v / 1000 : v,
			      thousands ? "k" : "");
	}
}

/* Of UTF-8 text. */
static size_t characters(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

/* As many as there is room for. */
static void write_ticks(const struct chart *c, const struct scale *s, FILE *to)
{
	size_t longest = 0, every = 1;
	double shift = c->form == CHART_BARS ? s->bar / 2 : 0;

	for (size_t i = 0; i < c->n; i++)
		if (characters(c->bar[i].tick) > longest)
			longest = characters(c->bar[i].tick);
	while (s->bar * (double)every < (double)(CHARACTER * (longest + 2)))
		every++;
	for (size_t i = 0; i < c->n; i += every) {
		double x = x_of(s, i) + shift;

		if (i > 0 && x + (double)(CHARACTER * longest) / 2 > WIDTH)
			break;
		(void)fprintf(to, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", x,
			      HEIGHT - 8);
		html_text(to, c->bar[i].tick);
		(void)fputs("</text>\n", to);
	}
}

static void write_steps(const struct chart *c, const struct scale *s, FILE *to)
{
	static const char *const forms[] = { "area", "steps" };

	for (size_t form = 0; form < 2; form++) {
		(void)fprintf(to, "<path class=\"%s\" d=\"M%d %.1f", forms[form], LEFT,
			      form == 0 ? (double)BASE : y_of(s, c->bar[0].value[0]));
		for (size_t i = 0; i < c->n; i++)
			(void)fprintf(to, "V%.1fH%.1f", y_of(s, c->bar[i].value[0]),
				      x_of(s, i + 1));
		if (form == 0)
			(void)fprintf(to, "V%dZ", BASE);
		(void)fputs("\"/>\n", to);
	}
}

static void write_bars(const struct chart *c, const struct scale *s, FILE *to)
{
	double n = (double)series_of(c), gap = s->bar * 0.15;
	double width = (s->bar - 2 * gap) / n;

	if (width > BAR_MAX) {
		width = BAR_MAX;
		gap = (s->bar - width * n) / 2;
	}
	for (size_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < series_of(c); k++) {
			double y = y_of(s, c->bar[i].value[k]);

			if (c->bar[i].value[k] > 0)
				(void)fprintf(to,
					      "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" "
					      "width=\"%.1f\" height=\"%.1f\"/>\n",
					      classes[k],
					      x_of(s, i) + gap + width * (double)k, y,
					      width, BASE - y);
		}
}

/* The text that the pointer shows for a bar; its place is as high as the chart, so that it is easy to hit. */
static void write_tips(const struct chart *c, const struct scale *s, FILE *to)
{
	for (size_t i = 0; i < c->n; i++) {
		(void)fprintf(to,
			      "<rect class=\"tip\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" "
			      "height=\"%d\"><title>",
			      x_of(s, i), TOP, s->bar, BASE - TOP);
		html_text(to, c->bar[i].label);
		for (size_t k = 0; k < series_of(c); k++)
			(void)fprintf(to, "%s %" PRIu64 " %s", k == 0 ? ":" : ",",
				      c->bar[i].value[k], c->series[k]);
		(void)fputs("</title></rect>\n", to);
	}
}

static void write_table(const struct chart *c, FILE *to)
{
	const struct html_column columns[] = {
		{ c->label, HTML_LABEL },
		{ c->series[0], HTML_NUMBER },
		{ c->series[1], HTML_NUMBER },
	};
	size_t n = 1 + series_of(c);

	(void)fputs("<details>\n<summary>Table</summary>\n", to);
	html_table_begin(to, c->title, columns, n);
	for (size_t i = 0; i < c->n; i++) {
		char numbers[CHART_SERIES][TEXT_MAX];

		for (size_t k = 0; k < series_of(c); k++)
			(void)snprintf(numbers[k], TEXT_MAX, "%" PRIu64,
				       c->bar[i].value[k]);
		html_table_row(
			to, columns, n,
			(const char *[]){ c->bar[i].label, numbers[0], numbers[1] });
	}
	html_table_end(to);
	(void)fputs("</details>\n", to);
}

static void write_legend(const struct chart *c, FILE *to)
{
	(void)fputs("<p class=\"legend\">", to);
	for (size_t k = 0; k < CHART_SERIES; k++)
		(void)fprintf(
			to,
			"<svg width=\"12\" height=\"12\" aria-hidden=\"true\"><rect "
			"class=\"%s\" width=\"12\" height=\"12\"/></svg> %s ",
			classes[k], c->series[k]);
	(void)fputs("</p>\n", to);
}

void chart_write(const struct chart *c, FILE *to)
{
	uint64_t max = largest(c), step = step_for(max > 0 ? max : 1);
	const struct scale s = {
		.bar = (double)(WIDTH - LEFT - RIGHT) / (double)c->n,
		.step = step,
		.top = (max > 0 ? (max - 1) / step + 1 : 1) * step,
	};

	(void)fprintf(to,
		      "<figure>\n<figcaption>%s</figcaption>\n<div class=\"wide\" "
		      "role=\"region\" tabindex=\"0\" aria-label=\"%s: chart\">\n"
		      "<svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" "
		      "aria-labelledby=\"%s-title %s-description\">\n"
		      "<title id=\"%s-title\">%s</title>\n"
		      "<desc id=\"%s-description\">%s</desc>\n",
		      c->title, c->title, WIDTH, HEIGHT, c->id, c->id, c->id, c->title,
		      c->id, c->description);
	write_lines(&s, to);
	if (c->form == CHART_STEPS)
		write_steps(c, &s, to);
	else
		write_bars(c, &s, to);
	write_ticks(c, &s, to);
	write_tips(c, &s, to);
	(void)fputs("</svg>\n</div>\n", to);
	if (c->series[1])
		write_legend(c, to);
	write_table(c, to);
	(void)fputs("</figure>\n", to);
}
