/* SPDX-License-Identifier: MIT */
/* A chart as SVG, with a table of the same numbers. Colours are those of the page's style. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/text.h"

#define CHART_SERIES 2

struct chart_bar {
	char label[TEXT_MAX];
	char tick[TEXT_MAX]; /* the same, short enough for the axis */
	uint64_t value[CHART_SERIES];
};

struct chart {
	const char *id; /* in the page */
	const char *title;
	const char *description;          /* one sentence for those who do not see it */
	const char *label;                /* what the labels are: "Begin" */
	const char *series[CHART_SERIES]; /* what the values are; NULL: only one */
	enum {
		CHART_BARS,  /* with a tick in the middle */
		CHART_TIMES, /* with a tick where they begin */
		CHART_STEPS, /* the same as a line over an area, of the first series only */
	} form;
	const struct chart_bar *bar; /* borrowed */
	size_t n;
};

void chart_write(const struct chart *c, FILE *to);
