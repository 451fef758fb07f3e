/* SPDX-License-Identifier: MIT */
/* The table of keys; their texts to struct config, errors with their line. */
#include "config/config.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_file.h"
#include "config/config_syntax.h"
#include "config/config_value.h"

#define BLANK " \t"

/* ---- the keys */

struct key {
	const char *section, *name;
	const struct config_kind *kind; /* NULL: designed, not built yet */
	size_t offset;                  /* of the member in struct config */
	const char *text;               /* default of a single value */
	config_list words;              /* default of a list */
	uint64_t min, max;
};

static const char *const no_words[] = { NULL };
static const char *const novnc_words[] = { "/api/auth/session/*/novnc/websock",
					   "/api/auth/session/*/novnc/websockify", NULL };
static const char *const hmr_words[] = { "/_next/*hmr*", NULL };

#define AT(member)                    offsetof(struct config, member)
#define URL(backend, text)            &config_kind_url, AT(backend), text, NULL, 0, 0
#define GLOBS(member, words)          &config_kind_globs, AT(member), NULL, words, 0, 0
#define ORIGINS(member, words)        &config_kind_origins, AT(member), NULL, words, 0, 0
#define BYTES(member, text, min, max) &config_kind_bytes, AT(member), text, NULL, min, max
#define SPAN(member, text, min) \
	&config_kind_span, AT(member), text, NULL, min, CONFIG_SPAN_MAX
/* Nothing but a tunnel may wait for ever. */
#define TUNNEL_SPAN(member, text, min) \
	&config_kind_span, AT(member), text, NULL, min, CLOCK_INFINITY
#define LEVEL(member, text)      &config_kind_level, AT(member), text, NULL, 0, 0
#define BOOL(member, text)       &config_kind_bool, AT(member), text, NULL, 0, 0
#define PATH(member)             &config_kind_file, AT(member), "", NULL, 0, 0
#define CREDENTIAL(member, text) &config_kind_credential, AT(member), text, NULL, 0, 0
#define NOT_BUILT                NULL, 0, NULL, NULL, 0, 0

static const struct key keys[] = {
	{ "NextJs", "Url", URL(backend[CONFIG_NEXTJS], "http://127.0.0.1:3001") },
	{ "NextJs", "VerifyTls", BOOL(backend[CONFIG_NEXTJS].trust.verify, "yes") },
	{ "NextJs", "CaFile", PATH(backend[CONFIG_NEXTJS].trust.ca_file) },
	{ "NextJs", "ClientCertificate", PATH(backend[CONFIG_NEXTJS].trust.certificate) },
	{ "NextJs", "ClientKey", PATH(backend[CONFIG_NEXTJS].trust.key) },
	{ "MasterController", "Url",
	  URL(backend[CONFIG_CONTROLLER], "http://127.0.0.1:4000") },
	{ "MasterController", "RewriteOrigin", BOOL(rewrite_origin, "no") },
	{ "MasterController", "VerifyTls",
	  BOOL(backend[CONFIG_CONTROLLER].trust.verify, "yes") },
	{ "MasterController", "CaFile", PATH(backend[CONFIG_CONTROLLER].trust.ca_file) },
	{ "MasterController", "ClientCertificate",
	  PATH(backend[CONFIG_CONTROLLER].trust.certificate) },
	{ "MasterController", "ClientKey", PATH(backend[CONFIG_CONTROLLER].trust.key) },
	{ "Routes", "NoVncPath", GLOBS(novnc_path, novnc_words) },
	{ "Routes", "ControllerPath", GLOBS(controller_path, no_words) },
	{ "Routes", "NextJsUpgradePath", GLOBS(nextjs_upgrade_path, hmr_words) },
	{ "Routes", "AllowedOrigins", ORIGINS(allowed_origins, no_words) },
	{ "Client", "TrustedProxies", NOT_BUILT },
	{ "Client", "ProxyProtocol", NOT_BUILT },
	{ "Tls", "Certificate", CREDENTIAL(tls.certificate, "tls.crt") },
	{ "Tls", "Key", CREDENTIAL(tls.key, "tls.key") },
	{ "Tls", "TicketKey", CREDENTIAL(tls.ticket_key, "tls.ticket") },
	{ "Tls", "ClientCaFile", PATH(tls.client_ca_file) },
	{ "Limits", "HeadMaxBytes",
	  BYTES(head_max, "32K", CONFIG_HEAD_MIN, CONFIG_HEAD_MAX) },
	{ "Limits", "HeadTimeoutSec", SPAN(head_ms, "10s", 1) },
	{ "Limits", "KeepAliveTimeoutSec", SPAN(keep_alive_ms, "15s", 0) },
	{ "Limits", "ConnectTimeoutSec", SPAN(connect_ms, "5s", 1) },
	{ "Limits", "UpgradeTimeoutSec", SPAN(upgrade_ms, "10s", 1) },
	{ "Limits", "ResponseTimeoutSec", SPAN(response_ms, "5min", 1) },
	{ "Limits", "BodyTimeoutSec", SPAN(body_ms, "60s", 1) },
	{ "Limits", "LingerTimeoutSec", TUNNEL_SPAN(linger_ms, "30s", 0) },
	{ "Limits", "IdleTimeoutSec", TUNNEL_SPAN(idle_ms, "infinity", 1) },
	{ "Log", "Level", LEVEL(log_level, "notice") },
};

#define KEYS_END (keys + sizeof(keys) / sizeof(keys[0]))

static void *member(struct config *c, const struct key *k)
{
	return (char *)c + k->offset;
}

/* Words are allocated unless they are the default or none. */
static void list_set(const struct key *k, config_list *list, config_list words)
{
	if (*list != k->words && *list != no_words)
		free((void *)*list);
	*list = words;
}

/* ---- what is being read */

struct config_text {
	struct config_text *next;
	char data[];
};

/* Room for the names of all sections, or of all keys of one. */
#define NAMES_TEXT 512

struct reader {
	struct config *c;
	config_report report;
	void *userdata;
	unsigned reports;
	int fault; /* -errno of what no edit of a file mends; 0: none */
	const char *file;
	unsigned line;       /* where the assignment begins; 0: the file as a whole */
	const char *section; /* as the table has it; NULL: none, */
	bool skip;           /* or an unknown one, whose keys are not looked at */
};

static void complain(struct reader *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void complain(struct reader *r, const char *fmt, ...)
{
	char what[1024] = "too many errors; the rest are not shown";
	va_list ap;

	if (++r->reports > CONFIG_REPORTS_MAX)
		return;
	va_start(ap, fmt);
	if (r->reports < CONFIG_REPORTS_MAX)
		(void)vsnprintf(what, sizeof(what), fmt, ap); /* values are cut short */
	va_end(ap);
	r->report(r->userdata, r->file, r->line, what);
}

/* What failed, an -errno, is not always the file's fault. */
static void complain_error(struct reader *r, int error)
{
	if (error == -EMFILE || error == -ENFILE || error == -ENOMEM)
		r->fault = error;
	complain(r, "cannot be read: %s", strerror(-error));
}

/* Names for an error to end with: the sections that have something built. */
static void known_sections(char ret[static NAMES_TEXT])
{
	const char *last = "";
	size_t len = 0;

	for (const struct key *k = keys; k < KEYS_END; k++) {
		if (!k->kind || strcmp(k->section, last) == 0)
			continue;
		len += (size_t)snprintf(ret + len, NAMES_TEXT - len, " [%s]", k->section);
		assert(len < NAMES_TEXT);
		last = k->section;
	}
}

/* The same, for what is built of a section. */
static void known_keys(const char *section, char ret[static NAMES_TEXT])
{
	size_t len = 0;

	(void)snprintf(ret, NAMES_TEXT, " none yet");
	for (const struct key *k = keys; k < KEYS_END; k++) {
		if (!k->kind || strcmp(k->section, section) != 0)
			continue;
		len += (size_t)snprintf(ret + len, NAMES_TEXT - len, " %s=", k->name);
		assert(len < NAMES_TEXT);
	}
}

static void complain_value(struct reader *r, const struct key *k, const char *value,
			   const char *why)
{
	char bounds[CONFIG_VALUE_TEXT] = "";
	const char *at = value[0] == '/' ? NULL : strrchr(value, '@');

	if (at)
		value = at; /* a password is nothing for a log */
	if (k->kind->format_bounds)
		k->kind->format_bounds(k->min, k->max, bounds);
	complain(r, "%s=%.200s %s; allowed: %s%s", k->name, value, why, k->kind->allowed,
		 bounds);
}

/* ---- assignments */

static void assign_list(struct reader *r, const struct key *k, char *value)
{
	config_list *list = member(r->c, k);
	const char **words, *why;
	char *rest;
	size_t n = 0;

	if (value[0] == '\0') {
		list_set(k, list, no_words);
		return;
	}
	if (*list != k->words) /* a default is replaced, not added to */
		while ((*list)[n])
			n++;
	/* A word and the space behind it are two bytes at least. */
	words = malloc((n + strlen(value) / 2 + 2) * sizeof(*words));
	if (!words) {
		complain_error(r, -ENOMEM);
		return;
	}
	memcpy(words, *list, n * sizeof(*words));
	for (char *word = strtok_r(value, BLANK, &rest); word;
	     word = strtok_r(NULL, BLANK, &rest)) {
		why = k->kind->parse(word, k->min, k->max, NULL);
		if (why)
			complain_value(r, k, word, why);
		else
			words[n++] = word;
	}
	words[n] = NULL;
	if (n > 0)
		list_set(k, list, words);
	else
		free(words);
}

static void assign(struct reader *r, const char *name, char *value)
{
	const struct key *k = keys;
	char names[NAMES_TEXT];
	const char *why;

	while (k < KEYS_END &&
	       (strcmp(k->section, r->section) != 0 || strcmp(k->name, name) != 0))
		k++;
	if (k == KEYS_END) {
		known_keys(r->section, names);
		complain(r, "unknown key %.100s=; keys of [%s]:%s", name, r->section,
			 names);
	} else if (!k->kind) {
		complain(r, "[%s] %s= is not implemented yet", k->section, k->name);
	} else if (k->kind->list) {
		assign_list(r, k, value);
	} else {
		why = k->kind->parse(value[0] != '\0' ? value : k->text, k->min, k->max,
				     member(r->c, k));
		if (why)
			complain_value(r, k, value, why);
	}
}

static void enter_section(struct reader *r, const char *name)
{
	const struct key *k = keys;
	char names[NAMES_TEXT];

	while (k < KEYS_END && strcmp(k->section, name) != 0)
		k++;
	r->section = k < KEYS_END ? k->section : NULL;
	r->skip = k == KEYS_END;
	if (r->skip) {
		known_sections(names);
		complain(r, "unknown section [%.100s]; sections:%s", name, names);
	}
}

static void read_item(struct reader *r, const struct config_syntax_item *item)
{
	char names[NAMES_TEXT];

	r->line = item->line;
	if (item->kind == CONFIG_SYNTAX_ERROR) {
		complain(r, "%s", item->why);
	} else if (item->kind == CONFIG_SYNTAX_SECTION) {
		enter_section(r, item->name);
	} else if (r->section) {
		assign(r, item->name, item->value);
	} else if (!r->skip) {
		known_sections(names);
		complain(r, "%.100s= is not in any section; sections:%s", item->name,
			 names);
	}
}

static void read_text(struct reader *r, const char *file, const char *text, size_t len)
{
	struct config_text *t = malloc(sizeof(*t) + len + 1);
	struct config_syntax_item item;
	struct config_syntax syntax;

	r->file = file;
	r->line = 0;
	r->section = NULL;
	r->skip = false;
	if (!t) {
		complain_error(r, -ENOMEM);
		return;
	}
	memcpy(t->data, text, len);
	t->data[len] = '\0';
	t->next = r->c->texts;
	r->c->texts = t;
	config_syntax_init(&syntax, t->data, len);
	for (;;) {
		config_syntax_next(&syntax, &item);
		if (item.kind == CONFIG_SYNTAX_END)
			return;
		read_item(r, &item);
	}
}

static void take_file(void *userdata, const char *file, const char *text, size_t len,
		      int error)
{
	struct reader *r = userdata;

	if (error == 0) {
		read_text(r, file, text, len);
		return;
	}
	r->file = file;
	r->line = 0;
	if (error == -EFBIG)
		complain(r, "is larger than %d bytes", CONFIG_FILE_MAX);
	else if (error == -ENXIO)
		complain(r, "is not a regular file");
	else
		complain_error(r, error);
}

/* ---- the interface */

void config_init(struct config *ret)
{
	const char *why;

	*ret = (struct config){ 0 };
	ret->backend[CONFIG_NEXTJS].name = "Next.js";
	ret->backend[CONFIG_NEXTJS].section = "NextJs";
	ret->backend[CONFIG_CONTROLLER].name = "master-controller";
	ret->backend[CONFIG_CONTROLLER].section = "MasterController";
	for (const struct key *k = keys; k < KEYS_END; k++) {
		if (!k->kind)
			continue;
		if (k->kind->list) {
			*(config_list *)member(ret, k) = k->words;
			continue;
		}
		why = k->kind->parse(k->text, k->min, k->max, member(ret, k));
		assert(!why);
	}
}

static int result_of(const struct reader *r)
{
	return r->fault < 0 ? r->fault : r->reports > 0 ? -EBADMSG : 0;
}

int config_parse_text(const char *file, const char *text, size_t len,
		      config_report report, void *userdata, struct config *c)
{
	struct reader r = { .c = c, .report = report, .userdata = userdata };

	read_text(&r, file, text, len);
	return result_of(&r);
}

int config_load(const char *file, config_report report, void *userdata,
		struct config *ret)
{
	struct reader r = { .c = ret, .report = report, .userdata = userdata };

	config_init(ret);
	config_file_read(file, take_file, &r);
	return result_of(&r);
}

void config_print(const struct config *c)
{
	const char *section = "";
	char text[CONFIG_VALUE_TEXT];

	for (const struct key *k = keys; k < KEYS_END; k++) {
		const void *value = (const char *)c + k->offset;
		const char *gap = "";

		if (!k->kind)
			continue;
		if (strcmp(k->section, section) != 0)
			printf("%s[%s]\n", section[0] != '\0' ? "\n" : "", k->section);
		section = k->section;
		printf("%s=", k->name);
		if (k->kind->list) {
			for (config_list w = *(const config_list *)value; *w;
			     w++, gap = " ")
				printf("%s%s", gap, *w);
		} else {
			k->kind->format(value, text);
			printf("%s", text);
		}
		printf("\n");
	}
}

void config_done(struct config *c)
{
	struct config_text *next;

	for (const struct key *k = keys; k < KEYS_END; k++)
		if (k->kind && k->kind->list)
			list_set(k, member(c, k), k->words);
	for (struct config_text *t = c->texts; t; t = next) {
		next = t->next;
		free(t);
	}
	c->texts = NULL;
}
