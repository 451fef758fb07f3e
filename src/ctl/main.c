/* SPDX-License-Identifier: MIT */
/* novnc-gatectl: options and the table of commands. See novnc-gatectl(1). */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_keys.h"
#include "ctl/ctl.h"
#include "ctl/terminal.h"

#define WATCH_MS       2000
#define WATCH_LEAST_MS 100

static const struct command {
	const char *name, *arguments, *help;
	int least, most; /* arguments; -1: any number */
	int (*run)(const struct ctl *o, char *args[]);
} commands[] = {
	{ "list", "", "show the open sessions (the default)", 0, 0, ctl_list },
	{ "disconnect", "SESSION...",
	  "end sessions: ids, users, addresses, units or globs", 1, -1, ctl_disconnect },
	{ "status", "[SESSION...]", "show the gate, or sessions and their journal", 0, -1,
	  ctl_status },
	{ "check", "", "check the configuration, the backends and the certificate", 0, 0,
	  ctl_check },
	{ "drain", "", "stop the sockets, and wait until nobody is left", 0, 0,
	  ctl_drain },
	{ "metrics", "", "print metrics for Prometheus", 0, 0, ctl_metrics },
	{ "report", "", "write a page about sessions and failures, from the journal", 0,
	  0, ctl_report },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const char help_options[] =
	"\nOptions:\n"
	"  -a --all             list: page connections, too;\n"
	"                       disconnect: also if all sessions match\n"
	"  -w --watch[=SPAN]    list: again and again, every 2 s or SPAN\n"
	"     --reason=TEXT     disconnect: why, for the journal\n"
	"     --no-block        disconnect: do not wait for the end\n"
	"     --timeout=SPAN    drain: wait no longer than that\n"
	"  -v --verbose         check: print the whole configuration, too\n"
	"     --session=ID      check: open this session through the gate, too\n"
	"     --cookie=COOKIES  check: send these cookies for it; @FILE: its first line\n"
	"     --config=FILE     check: this file instead of the service's\n"
	"     --http            metrics: respond to an HTTP request on standard input\n"
	"     --since=TIME      report: from this time on\n"
	"     --until=TIME      report: up to this time\n"
	"     --output=FILE     report: to this file instead of report.html\n"
	"  -n --lines=N         status: entries of the journal, 10 by default\n"
	"  -l --full            do not shorten what is wider than the terminal\n"
	"     --json=FORM       short, pretty or off\n"
	"     --no-legend       print no header and no footer\n"
	"     --no-pager\n"
	"     --user --system   the service manager of the caller, or of the system\n"
	"  -h --help\n"
	"     --version\n"
	"\nSee novnc-gatectl(1).\n";

static void help(void)
{
	(void)printf("novnc-gatectl [OPTION...] [COMMAND]\n\n"
		     "Shows and ends the sessions of novnc-gate.\n\nCommands:\n");
	for (size_t i = 0; i < COMMANDS; i++) {
		int width = 22 - (int)strlen(commands[i].name);

		(void)printf("  %s %-*s %s\n", commands[i].name, width,
			     commands[i].arguments, commands[i].help);
	}
	(void)fputs(help_options, stdout);
}

/* These return -1 to continue, or the exit code after a message. */
static int json_parse(const char *text, enum ctl_json *ret)
{
	static const char *const forms[] = {
		[CTL_JSON_OFF] = "off",
		[CTL_JSON_SHORT] = "short",
		[CTL_JSON_PRETTY] = "pretty",
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strcmp(text, forms[i]) == 0) {
			*ret = (enum ctl_json)i;
			return -1;
		}
	(void)fprintf(stderr, "--json=%s: allowed: short, pretty, off\n", text);
	return EXIT_FAILURE;
}

static int span_parse(const char *option, const char *text, uint64_t *ret)
{
	const char *why = config_kind_span.parse_number(text, 1, CONFIG_SPAN_MAX, ret);

	if (why)
		(void)fprintf(stderr, "--%s=%s %s; allowed: %s\n", option, text, why,
			      config_kind_span.allowed);
	return why ? EXIT_FAILURE : -1;
}

/* NULL: the option has no span. */
static int watch_parse(const char *text, uint64_t *ret)
{
	int code = text ? span_parse("watch", text, ret) : -1;

	if (!text)
		*ret = WATCH_MS;
	else if (*ret < WATCH_LEAST_MS)
		*ret = WATCH_LEAST_MS;
	return code;
}

static int lines_parse(const char *text, unsigned *ret)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || n > 100000) {
		(void)fprintf(stderr, "--lines=%s: a number up to 100000 is allowed\n",
			      text);
		return EXIT_FAILURE;
	}
	*ret = (unsigned)n;
	return -1;
}

enum option_code {
	OPTION_JSON = 256,
	OPTION_NO_LEGEND,
	OPTION_NO_PAGER,
	OPTION_USER,
	OPTION_REASON,
	OPTION_NO_BLOCK,
	OPTION_TIMEOUT,
	OPTION_SESSION,
	OPTION_COOKIE,
	OPTION_CONFIG,
	OPTION_HTTP,
	OPTION_SINCE,
	OPTION_UNTIL,
	OPTION_OUTPUT,
	OPTION_SYSTEM,
	OPTION_VERSION,
};

static const struct option options[] = {
	{ "all", no_argument, NULL, 'a' },
	{ "watch", optional_argument, NULL, 'w' },
	{ "full", no_argument, NULL, 'l' },
	{ "json", required_argument, NULL, OPTION_JSON },
	{ "no-legend", no_argument, NULL, OPTION_NO_LEGEND },
	{ "no-pager", no_argument, NULL, OPTION_NO_PAGER },
	{ "reason", required_argument, NULL, OPTION_REASON },
	{ "no-block", no_argument, NULL, OPTION_NO_BLOCK },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "verbose", no_argument, NULL, 'v' },
	{ "session", required_argument, NULL, OPTION_SESSION },
	{ "cookie", required_argument, NULL, OPTION_COOKIE },
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "http", no_argument, NULL, OPTION_HTTP },
	{ "since", required_argument, NULL, OPTION_SINCE },
	{ "until", required_argument, NULL, OPTION_UNTIL },
	{ "output", required_argument, NULL, OPTION_OUTPUT },
	{ "lines", required_argument, NULL, 'n' },
	{ "user", no_argument, NULL, OPTION_USER },
	{ "system", no_argument, NULL, OPTION_SYSTEM },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ 0 },
};

/* The member for the text of that option; NULL: it is another one. */
static const char **option_text(int option, struct ctl *o)
{
	switch (option) {
	case OPTION_REASON: return &o->reason;
	case OPTION_SESSION: return &o->session;
	case OPTION_COOKIE: return &o->cookie;
	case OPTION_CONFIG: return &o->config;
	case OPTION_SINCE: return &o->since;
	case OPTION_UNTIL: return &o->until;
	case OPTION_OUTPUT: return &o->output;
	default: return NULL;
	}
}

/* Returns -1 to continue, or the exit code. */
static int option_apply(int option, struct ctl *o)
{
	const char **text = option_text(option, o);

	if (text) {
		*text = optarg;
		return -1;
	}
	switch (option) {
	case 'a': o->all = true; return -1;
	case 'l': o->full = true; return -1;
	case 'w': return watch_parse(optarg, &o->watch_ms);
	case OPTION_JSON: return json_parse(optarg, &o->json);
	case OPTION_NO_LEGEND: o->legend = false; return -1;
	case OPTION_NO_PAGER: o->pager = false; return -1;
	case OPTION_NO_BLOCK: o->no_block = true; return -1;
	case OPTION_TIMEOUT: return span_parse("timeout", optarg, &o->timeout_ms);
	case 'n': return lines_parse(optarg, &o->lines);
	case 'v': o->verbose = true; return -1;
	case OPTION_HTTP: o->http = true; return -1;
	case OPTION_USER: o->user = true; return -1;
	case OPTION_SYSTEM: o->user = false; return -1;
	case 'h': help(); return EXIT_SUCCESS;
	case OPTION_VERSION:
		(void)puts("novnc-gatectl " NOVNC_GATE_VERSION "\n+JANSSON +LIBSYSTEMD");
		return EXIT_SUCCESS;
	default: return EXIT_FAILURE;
	}
}

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	(void)fprintf(stderr, "Unknown command %s; see novnc-gatectl --help.\n", name);
	return NULL;
}

static bool arguments_fit(const struct command *c, int n)
{
	if (n >= c->least && (c->most < 0 || n <= c->most))
		return true;
	(void)fprintf(stderr, "Usage: novnc-gatectl [OPTION...] %s %s\n", c->name,
		      c->arguments);
	return false;
}

static bool options_fit(const struct command *c, const struct ctl *o)
{
	bool is_check = c->run == ctl_check;

	if ((!o->session && !o->cookie) || (is_check && o->session))
		return true;
	(void)fprintf(stderr, is_check ? "--cookie= is only for --session=\n"
				       : "--session= and --cookie= are only for check\n");
	(void)fputs(
		"Usage: novnc-gatectl [OPTION...] check --session=ID [--cookie=COOKIES]\n",
		stderr);
	return false;
}

/* Returns the exit code: a failure, if not all could be written. After a pager it is fine: it may end first. */
static int output_end(int code)
{
	const char *why = "";

	if (terminal_pager_close())
		return code;
	if (fflush(stdout) != 0)
		why = strerror(errno);
	else if (!ferror(stdout))
		return code;
	(void)fprintf(stderr, "Cannot write to standard output%s%s\n", *why ? ": " : "",
		      why);
	return EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
	struct ctl o = {
		.legend = true, .pager = true, .lines = 10, .timeout_ms = CLOCK_INFINITY
	};
	const struct command *c = &commands[0];
	int option;

	(void)setlocale(LC_TIME, ""); /* names of days */
	while ((option = getopt_long(argc, argv, "awlvn:h", options, NULL)) >= 0) {
		int code = option_apply(option, &o);

		if (code >= 0)
			return output_end(code);
	}
	if (optind < argc) {
		c = command_find(argv[optind++]);
		if (!c || !arguments_fit(c, argc - optind))
			return EXIT_FAILURE;
	}
	if (!options_fit(c, &o))
		return EXIT_FAILURE;
	return output_end(c->run(&o, argv + optind));
}
