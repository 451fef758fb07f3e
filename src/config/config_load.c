/* SPDX-License-Identifier: MIT */
/* Assigns the values in files to the members of struct config; reports errors by line. */
#include "config/config_load.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_file.h"
#include "config/config_keys.h"
#include "config/config_syntax.h"

static void *member_of(const struct config_key *k, struct config *c)
{
	return (char *)c + k->offset;
}

/* ---- lists: allocated, unless they are the default */

static void list_set(const struct config_key *k, config_list *list, config_list words)
{
	if (*list != k->default_words)
		free((void *)*list);
	*list = words;
}

/* ---- the state of the reader */

struct config_text {
	struct config_text *next;
	char data[];
};

/* The section that the current line is in. */
enum reader_state {
	READER_NO_SECTION,      /* none yet in this file */
	READER_SECTION,         /* reader.section */
	READER_UNKNOWN_SECTION, /* has been reported; its keys are ignored */
};

/* The last line with a key that needs another one, which is judged when all files have been read. */
struct needing {
	char *file; /* allocated; NULL: the key is not set */
	unsigned line;
};

struct reader {
	struct config *c;
	config_report report;
	void *userdata;
	unsigned reports;
	enum config_result result;
	const char *file;
	unsigned line; /* the first of the assignment; 0: the file as a whole */
	enum reader_state state;
	const char *section; /* as in the table of keys */
	struct needing proxy_protocol, client_key[CONFIG_BACKENDS];
};

/* Room for the names of all sections, or of all keys of one. */
#define NAMES_TEXT 512

__attribute__((format(printf, 2, 3))) static void complain(struct reader *r,
							   const char *fmt, ...)
{
	char line[16] = "", what[1024] = "too many errors; the rest are not shown";
	/* a longer path than PATH_MAX cannot be opened; it is cut */
	char error[PATH_MAX + sizeof(line) + sizeof(what)];
	va_list ap;

	if (r->result == CONFIG_OK)
		r->result = CONFIG_INVALID;
	if (++r->reports > CONFIG_REPORTS_MAX)
		return;
	va_start(ap, fmt);
	if (r->reports < CONFIG_REPORTS_MAX)
		(void)vsnprintf(what, sizeof(what), fmt, ap); /* truncates long values */
	va_end(ap);
	if (r->line > 0)
		(void)snprintf(line, sizeof(line), ":%u", r->line);
	(void)snprintf(error, sizeof(error), "%.*s%s: %s", PATH_MAX, r->file, line, what);
	r->report(r->userdata, error);
}

/* error: an -errno. */
static void complain_error(struct reader *r, int error)
{
	if (error == -EMFILE || error == -ENFILE || error == -ENOMEM)
		r->result = CONFIG_OUT_OF_RESOURCES;
	complain(r, "cannot be read: %s", strerror(-error));
}

/* Lists the keys of a section, or all sections if it is NULL, for the end of an error message. */
static void list_names(const char *section, char ret[static NAMES_TEXT])
{
	const char *last = "";
	size_t len = 0;

	for (const struct config_key *k = config_keys; k->section; k++) {
		if (section ? strcmp(k->section, section) != 0
			    : strcmp(k->section, last) == 0)
			continue;
		len += (size_t)snprintf(ret + len, NAMES_TEXT - len,
					section ? " %s=" : " [%s]",
					section ? k->name : k->section);
		assert(len < NAMES_TEXT);
		last = k->section;
	}
}

static void complain_value(struct reader *r, const struct config_key *k,
			   const char *value, const char *why)
{
	/* a URL's password is not logged; a path may contain @ */
	const char *at = value[0] == '/' ? NULL : strrchr(value, '@');
	bool may_be_infinity = k->max == CLOCK_INFINITY;
	uint64_t max = may_be_infinity ? CONFIG_SPAN_MAX : k->max;
	char from[CONFIG_VALUE_TEXT], to[CONFIG_VALUE_TEXT];

	if (at)
		value = at;
	if (!k->kind->parse_number) {
		complain(r, "%s=%.200s %s; allowed: %s", k->name, value, why,
			 k->kind->allowed);
		return;
	}
	k->kind->format(&k->min, from);
	k->kind->format(&max, to);
	complain(r, "%s=%.200s %s; allowed: %s, from %s to %s%s", k->name, value, why,
		 k->kind->allowed, from, to, may_be_infinity ? ", or infinity" : "");
}

/* ---- assignments */

static const char *parse_value(const struct config_key *k, const char *text,
			       struct config *c)
{
	void *ret = member_of(k, c);

	return k->kind->parse ? k->kind->parse(text, ret)
			      : k->kind->parse_number(text, k->min, k->max, ret);
}

static void assign_list(struct reader *r, const struct config_key *k, char *value)
{
	config_list *list = member_of(k, r->c);
	const char **words, *why;
	char *rest;
	size_t n = 0;
	bool clears_list = value[0] == '\0';

	/* words replace the default, but add to an earlier line */
	while (!clears_list && *list != k->default_words && (*list)[n])
		n++;
	/* each word and the space after it are at least two bytes of value */
	words = malloc((n + strlen(value) / 2 + 2) * sizeof(*words));
	if (!words) {
		complain_error(r, -ENOMEM);
		return;
	}
	memcpy(words, *list, n * sizeof(*words));
	for (char *word = strtok_r(value, CONFIG_BLANK, &rest); word;
	     word = strtok_r(NULL, CONFIG_BLANK, &rest)) {
		why = k->kind->check_word(word);
		if (why)
			complain_value(r, k, word, why);
		else
			words[n++] = word;
	}
	words[n] = NULL;
	if (clears_list || n > 0)
		list_set(k, list, words);
	else
		free(words);
}

/* NULL for most keys. */
static struct needing *needing_of(struct reader *r, const void *member)
{
	if (member == &r->c->proxy_protocol)
		return &r->proxy_protocol;
	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		if (member == &r->c->backend[i].trust.key)
			return &r->client_key[i];
	return NULL;
}

static void note_line(struct reader *r, struct needing *key)
{
	free(key->file);
	key->file = strdup(r->file);
	key->line = r->line;
	if (!key->file)
		complain_error(r, -ENOMEM);
}

static void assign(struct reader *r, const char *name, char *value)
{
	const struct config_key *k = config_key_find(r->section, name);
	struct needing *needing = k ? needing_of(r, member_of(k, r->c)) : NULL;
	char names[NAMES_TEXT];
	const char *why;

	if (!k) {
		list_names(r->section, names);
		complain(r, "unknown key %.100s=; keys of [%s]:%s", name, r->section,
			 names);
	} else if (k->kind->check_word) {
		assign_list(r, k, value);
	} else {
		why = parse_value(k, value[0] != '\0' ? value : k->default_text, r->c);
		if (why)
			complain_value(r, k, value, why);
		else if (needing)
			note_line(r, needing);
	}
}

static void enter_section(struct reader *r, const char *name)
{
	char names[NAMES_TEXT];

	for (const struct config_key *k = config_keys; k->section; k++)
		if (strcmp(k->section, name) == 0) {
			r->state = READER_SECTION;
			r->section = k->section;
			return;
		}
	r->state = READER_UNKNOWN_SECTION;
	list_names(NULL, names);
	complain(r, "unknown section [%.100s]; sections:%s", name, names);
}

static void assign_in_section(struct reader *r, const struct config_syntax_item *item)
{
	char names[NAMES_TEXT];

	switch (r->state) {
	case READER_SECTION: assign(r, item->name, item->value); return;
	case READER_UNKNOWN_SECTION: return;
	case READER_NO_SECTION: break;
	}
	list_names(NULL, names);
	complain(r, "%.100s= is not in any section; sections:%s", item->name, names);
}

static void read_item(struct reader *r, enum config_syntax_kind kind,
		      const struct config_syntax_item *item)
{
	r->line = item->line;
	switch (kind) {
	case CONFIG_SYNTAX_ERROR: complain(r, "%s", item->why); return;
	case CONFIG_SYNTAX_SECTION: enter_section(r, item->name); return;
	case CONFIG_SYNTAX_ASSIGNMENT: assign_in_section(r, item); return;
	case CONFIG_SYNTAX_END: return;
	}
}

/* ---- files */

static void read_text(struct reader *r, const char *text, size_t len)
{
	struct config_text *t = malloc(sizeof(*t) + len + 1);
	struct config_syntax_item item;
	struct config_syntax syntax;
	enum config_syntax_kind kind;

	if (!t) {
		complain_error(r, -ENOMEM);
		return;
	}
	memcpy(t->data, text, len);
	t->data[len] = '\0';
	t->next = r->c->texts;
	r->c->texts = t;
	config_syntax_init(&syntax, t->data, len);
	while ((kind = config_syntax_next(&syntax, &item)) != CONFIG_SYNTAX_END)
		read_item(r, kind, &item);
}

static void read_file(void *userdata, const struct config_file *f)
{
	struct reader *r = userdata;

	r->file = f->path;
	r->line = 0;
	r->state = READER_NO_SECTION;
	switch (f->result) {
	case CONFIG_FILE_OK: read_text(r, f->text, f->len); return;
	case CONFIG_FILE_TOO_LARGE:
		complain(r, "is larger than %d bytes", CONFIG_FILE_MAX);
		return;
	case CONFIG_FILE_NOT_REGULAR: complain(r, "is not a regular file"); return;
	case CONFIG_FILE_FAILED: complain_error(r, f->error); return;
	}
}

/* ---- keys that need another one */

#define NEEDS_PROXIES \
	" needs TrustedProxies= in section [Client]: the addresses of the proxies"

/* True if an error is to be reported at the line with the key. */
static bool is_unmet(struct reader *r, const struct needing *key, bool unmet)
{
	r->file = key->file;
	r->line = key->line;
	return key->file && unmet;
}

static void check_needs(struct reader *r)
{
	const struct config *c = r->c;

	if (is_unmet(r, &r->proxy_protocol, c->proxy_protocol && c->trusted.n == 0))
		complain(r, "ProxyProtocol=yes" NEEDS_PROXIES);
	free(r->proxy_protocol.file);
	for (size_t i = 0; i < CONFIG_BACKENDS; i++) {
		const struct backend *be = &c->backend[i];

		if (is_unmet(r, &r->client_key[i],
			     be->trust.key && !be->trust.certificate))
			complain(r,
				 "ClientKey= needs ClientCertificate= in section [%s]: "
				 "the certificate of this key",
				 be->section);
		free(r->client_key[i].file);
	}
}

/* ---- the functions of config_load.h */

void config_init(struct config *ret)
{
	*ret = (struct config){ 0 };
	ret->backend[CONFIG_NEXTJS].name = "Next.js";
	ret->backend[CONFIG_NEXTJS].section = "NextJs";
	ret->backend[CONFIG_CONTROLLER].name = "master-controller";
	ret->backend[CONFIG_CONTROLLER].section = "MasterController";
	for (const struct config_key *k = config_keys; k->section; k++) {
		const char *why = NULL;

		if (k->kind->check_word)
			*(config_list *)member_of(k, ret) = k->default_words;
		else
			why = parse_value(k, k->default_text, ret);
		assert(!why);
	}
}

enum config_result config_load(const char *file, config_report report, void *userdata,
			       struct config *ret)
{
	struct reader r = { .c = ret, .report = report, .userdata = userdata };

	config_init(ret);
	config_file_read(file, read_file, &r);
	r.file = file;
	r.line = 0;
	/* each word was checked when it was read */
	if (network_list_parse(ret->trusted_proxies, &ret->trusted) < 0)
		complain_error(&r, -ENOMEM);
	check_needs(&r);
	return r.result;
}

enum config_result config_use_proxy_protocol(struct config *c, const char *file,
					     config_report report, void *userdata)
{
	struct reader r = {
		.c = c, .report = report, .userdata = userdata, .file = file
	};

	if (!c->proxy_protocol && c->trusted.n == 0)
		complain(&r, "--proxy-protocol" NEEDS_PROXIES);
	c->proxy_protocol = true;
	return r.result;
}

void config_done(struct config *c)
{
	struct config_text *next;

	for (const struct config_key *k = config_keys; k->section; k++)
		if (k->kind->check_word)
			list_set(k, member_of(k, c), k->default_words);
	network_list_done(&c->trusted);
	for (struct config_text *t = c->texts; t; t = next) {
		next = t->next;
		free(t);
	}
	c->texts = NULL;
}
