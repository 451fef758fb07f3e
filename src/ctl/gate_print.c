/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "ctl/gate.h"
#include "ctl/memory.h"
#include "ctl/table.h"
#include "ctl/terminal.h"
#include "ctl/text.h"

static const char *const colours[GATE_LEVELS] = {
	[GATE_GOOD] = "\x1b[0;32m",
	[GATE_NOTE] = "",
	[GATE_WARNING] = "\x1b[0;33m",
	[GATE_ERROR] = "\x1b[0;1;31m",
};

static size_t count(const struct gate_report *r, enum gate_level level)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->result[i].level == level;
	return n;
}

static const char *verdict(const struct gate_report *r)
{
	if (r->code == GATE_INVALID)
		return "invalid";
	return r->code != 0 ? "not ready" : "ready";
}

static void print_verdict(const struct gate_report *r, bool colour)
{
	size_t errors = count(r, GATE_ERROR), warnings = count(r, GATE_WARNING);

	(void)printf("%s%s is %s%s",
		     !colour ? "" : colours[r->code != 0 ? GATE_ERROR : GATE_GOOD],
		     r->code == GATE_INVALID ? "The configuration" : "novnc-gate",
		     verdict(r), colour ? "\x1b[0m" : "");
	if (errors > 0)
		(void)printf(": %zu error%s", errors, errors == 1 ? "" : "s");
	if (warnings > 0)
		(void)printf("%s %zu warning%s", errors > 0 ? "," : ":", warnings,
			     warnings == 1 ? "" : "s");
	(void)puts(".");
}

static void print_certificate(const struct gate_report *r)
{
	char until[TEXT_MAX];

	if (!r->certificate)
		return;
	text_time_long((uint64_t)r->certificate_until * 1000000, until);
	(void)printf("  ok       certificate for %s, until %s\n",
		     r->certificate[0] ? r->certificate : "no host", until);
}

/* Errors first. */
static void print_results(const struct gate_report *r, bool colour)
{
	for (int level = GATE_ERROR; level >= GATE_GOOD; level--)
		for (size_t i = 0; i < r->n; i++) {
			const struct gate_result *one = &r->result[i];

			if ((int)one->level != level)
				continue;
			(void)printf("  %s%-8s%s %s%s%s\n", colour ? colours[level] : "",
				     level == GATE_GOOD ? "ok" : gate_level_names[level],
				     colour && colours[level][0] ? "\x1b[0m" : "",
				     one->text, one->hint[0] ? "; " : "", one->hint);
		}
}

static json_t *hosts(const char *names)
{
	json_t *list = json_array();
	char *copy = memory_copy(slice_str(names)), *rest = copy, *name;

	while ((name = strsep(&rest, " ")))
		if (name[0])
			(void)json_array_append_new(list, table_json_text(name));
	free(copy);
	return list;
}

json_t *gate_report_json(const struct gate_report *r, bool verbose)
{
	json_t *results = json_array(), *certificate = json_null(), *o;

	for (size_t i = 0; i < r->n; i++) {
		const struct gate_result *one = &r->result[i];

		(void)json_array_append_new(
			results, json_pack("{s:s, s:o, s:o, s:o}", "level",
					   gate_level_names[one->level], "subject",
					   table_json_text(one->subject), "text",
					   table_json_text(one->text), "hint",
					   table_json_text(one->hint)));
	}
	if (r->certificate)
		certificate =
			json_pack("{s:o, s:I}", "hosts", hosts(r->certificate), "until",
				  (json_int_t)r->certificate_until * 1000000);
	o = json_pack("{s:s, s:o, s:o}", "verdict", verdict(r), "results", results,
		      "certificate", certificate);
	if (verbose)
		(void)json_object_set_new(o, "settings", table_json_text(r->settings));
	return o;
}

void gate_report_write(const struct gate_report *r)
{
	bool colour = terminal_has_colour();

	print_verdict(r, colour);
	print_results(r, colour);
	print_certificate(r);
}

void gate_report_print(const struct ctl *o, const struct gate_report *r)
{
	if (o->json != CTL_JSON_OFF) {
		table_print_json(o->json, gate_report_json(r, o->verbose));
		return;
	}
	terminal_pager_open(o->pager && o->verbose);
	gate_report_write(r);
	if (o->verbose)
		(void)printf("\n%s", r->settings);
}
