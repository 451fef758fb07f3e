/* SPDX-License-Identifier: MIT */
/* Numbers, time spans, log levels, booleans, files. */
#include "config/config_keys.h"

#include <ctype.h>
#include <stdio.h>
#include <syslog.h>

#include "base/buf.h"

/* ---- numbers */

/* An overflow gives UINT64_MAX, which is out of bounds. */
static uint64_t sum(uint64_t x, uint64_t y)
{
	return __builtin_add_overflow(x, y, &x) ? UINT64_MAX : x;
}

static uint64_t product(uint64_t x, uint64_t y)
{
	return __builtin_mul_overflow(x, y, &x) ? UINT64_MAX : x;
}

/* ---- sizes */

static const char *bytes_parse(const char *text, uint64_t min, uint64_t max,
			       uint64_t *ret)
{
	struct slice s = slice_str(text);
	uint64_t v;

	if (!slice_take_number(&s, &v))
		return "is not a size";
	if (slice_eq(s, SLICE("K")))
		v = product(v, 1024);
	else if (slice_eq(s, SLICE("M")))
		v = product(v, 1024 * 1024);
	else if (s.len > 0)
		return "is not a size";
	if (v < min || v > max)
		return "is out of range";
	*ret = v;
	return NULL;
}

static void bytes_format(const void *value, char ret[static CONFIG_VALUE_TEXT])
{
	unsigned long long v = *(const uint64_t *)value;
	bool whole = v % 1024 == 0;

	(void)snprintf(ret, CONFIG_VALUE_TEXT, whole ? "%lluK" : "%llu",
		       whole ? v / 1024 : v);
}

const struct config_kind config_kind_bytes = {
	.allowed = "a number of bytes such as 8192 or 32K",
	.parse_number = bytes_parse,
	.format = bytes_format,
};

/* ---- time spans, systemd.time(7) */

#define SECOND_US 1000000ULL
#define ROW_DAYS  5 /* the row of the largest unit that is printed */

/* In rising order. The first of the names is printed. After the first row, all names of a row begin alike. */
static const struct {
	char names[24];
	uint64_t us;
} units[] = {
	{ "us usec \302\265s \316\274s", 1 }, /* micro sign and Greek letter */
	{ "ms msec", 1000 },
	{ "s sec second seconds", SECOND_US },
	{ "min m minute minutes", 60 * SECOND_US },
	{ "h hr hour hours", 3600 * SECOND_US },
	[ROW_DAYS] = { "d day days", 86400 * SECOND_US },
	{ "w week weeks", 7 * 86400 * SECOND_US },
};

/* Removes the unit from s. Returns it in microseconds: a second if none is there, 0 if it is unknown. */
static uint64_t next_unit(struct slice *s)
{
	struct slice word = { s->p, 0 }, names, name;

	while (word.len < s->len && !isdigit((unsigned char)s->p[word.len]) &&
	       s->p[word.len] != ' ' && s->p[word.len] != '\t')
		word.len++;
	*s = slice_from(*s, word.len);
	if (word.len == 0)
		return SECOND_US;
	for (size_t i = COUNT(units); i-- > 0;) {
		if (i > 0 && units[i].names[0] != word.p[0])
			continue;
		for (names = slice_str(units[i].names); slice_split(&names, ' ', &name);)
			if (slice_eq(word, name))
				return units[i].us;
	}
	return 0;
}

/* Removes the digits at the beginning of s, and returns them. */
static struct slice next_digits(struct slice *s)
{
	struct slice digits = { s->p, 0 };

	while (digits.len < s->len && isdigit((unsigned char)s->p[digits.len]))
		digits.len++;
	*s = slice_from(*s, digits.len);
	return digits;
}

/* Removes one term, such as "5min" or "1.5 s", from the beginning of s. */
static bool next_term(struct slice *s, uint64_t *ret_us)
{
	struct slice fraction = { NULL, 0 };
	uint64_t whole, unit, us;

	if (!slice_take_number(s, &whole))
		return false;
	if (s->len > 0 && s->p[0] == '.') {
		*s = slice_from(*s, 1);
		fraction = next_digits(s);
		if (fraction.len == 0)
			return false;
	}
	*s = slice_trim(*s);
	unit = next_unit(s);
	if (unit == 0)
		return false;
	*s = slice_trim(*s);

	us = product(whole, unit);
	for (size_t i = 0; i < fraction.len; i++) {
		unit /= 10;
		us = sum(us, unit * (uint64_t)(fraction.p[i] - '0'));
	}
	*ret_us = us;
	return true;
}

static const char *span_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	struct slice s = slice_str(text);
	uint64_t us = 0, term, ms;

	if (slice_eq(s, SLICE("infinity"))) {
		if (max != CLOCK_INFINITY)
			return "would wait forever";
		*ret = CLOCK_INFINITY;
		return NULL;
	}
	do {
		if (!next_term(&s, &term))
			return "is not a time span";
		us = sum(us, term);
	} while (s.len > 0);
	ms = us / 1000 + (us % 1000 != 0); /* rounded up */
	if (ms < min || ms > max || ms > CONFIG_SPAN_MAX)
		return "is out of range";
	*ret = ms;
	return NULL;
}

static void span_format(const void *value, char ret[static CONFIG_VALUE_TEXT])
{
	uint64_t ms = *(const uint64_t *)value, us = ms * 1000;
	size_t len = 0;

	if (ms == CLOCK_INFINITY || ms == 0) {
		(void)snprintf(ret, CONFIG_VALUE_TEXT, ms == 0 ? "0" : "infinity");
		return;
	}
	for (size_t i = ROW_DAYS; us > 0; i--) {
		unsigned long long n = us / units[i].us;

		us %= units[i].us;
		if (n > 0)
			len += (size_t)snprintf(ret + len, CONFIG_VALUE_TEXT - len,
						"%s%llu%.*s", len > 0 ? " " : "", n,
						(int)strcspn(units[i].names, " "),
						units[i].names);
	}
}

const struct config_kind config_kind_span = {
	.allowed = "a time span such as 10s, 5min or 1h 30min",
	.parse_number = span_parse,
	.format = span_format,
};

/* ---- UpgradeErrors= */

static const char *errors_parse(const char *text, void *ret)
{
	enum config_upgrade_errors *errors = ret;

	if (strcmp(text, "http") == 0)
		*errors = CONFIG_UPGRADE_ERRORS_HTTP;
	else if (strcmp(text, "close") == 0)
		*errors = CONFIG_UPGRADE_ERRORS_CLOSE;
	else
		return "is neither http nor close";
	return NULL;
}

static void errors_format(const void *value, char ret[static CONFIG_VALUE_TEXT])
{
	(void)snprintf(ret, CONFIG_VALUE_TEXT, "%s",
		       *(const enum config_upgrade_errors *)value ==
				       CONFIG_UPGRADE_ERRORS_CLOSE
			       ? "close"
			       : "http");
}

const struct config_kind config_kind_upgrade_errors = {
	.allowed = "http or close",
	.parse = errors_parse,
	.format = errors_format,
};

/* ---- log levels */

static const char levels[][8] = {
	[LOG_ERR] = "err",   [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
	[LOG_INFO] = "info", [LOG_DEBUG] = "debug",
};

static const char *level_parse(const char *text, void *ret)
{
	for (int i = LOG_ERR; i <= LOG_DEBUG; i++)
		if (strcmp(text, levels[i]) == 0) {
			*(int *)ret = i;
			return NULL;
		}
	return "is not a log level";
}

static void level_format(const void *value, char ret[static CONFIG_VALUE_TEXT])
{
	(void)snprintf(ret, CONFIG_VALUE_TEXT, "%s", levels[*(const int *)value]);
}

const struct config_kind config_kind_level = {
	.allowed = "err, warning, notice, info or debug",
	.parse = level_parse,
	.format = level_format,
};

/* ---- booleans, systemd.syntax(7) */

static const char *bool_parse(const char *text, void *ret)
{
	/* in turn for true and for false */
	static const char *const words[] = { "yes", "no", "true", "false", "on", "off",
					     "y",   "n",  "t",    "f",     "1",  "0" };

	for (size_t i = 0; i < COUNT(words); i++)
		if (strcasecmp(text, words[i]) == 0) {
			*(bool *)ret = i % 2 == 0;
			return NULL;
		}
	return "is not a boolean";
}

static void bool_format(const void *value, char ret[static CONFIG_VALUE_TEXT])
{
	(void)snprintf(ret, CONFIG_VALUE_TEXT, "%s", *(const bool *)value ? "yes" : "no");
}

const struct config_kind config_kind_bool = {
	.allowed = "yes or no",
	.parse = bool_parse,
	.format = bool_format,
};

/* ---- files: only their names; whoever needs a file opens it */

static const char *file_parse(const char *text, void *ret)
{
	if (text[0] != '/' && text[0] != '\0')
		return "is not an absolute path";
	if (strlen(text) >= CONFIG_VALUE_TEXT)
		return "is too long";
	*(const char **)ret = text[0] != '\0' ? text : NULL;
	return NULL;
}

void config_string_format(const void *value, char ret[static CONFIG_VALUE_TEXT])
{
	const char *string = *(const char *const *)value;

	(void)snprintf(ret, CONFIG_VALUE_TEXT, "%s", string ? string : "");
}

const struct config_kind config_kind_file = {
	.allowed = "an absolute path",
	.parse = file_parse,
	.format = config_string_format,
};

static const char *credential_parse(const char *text, void *ret)
{
	if (text[0] == '/')
		return file_parse(text, ret);
	if (strchr(text, '/') || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return "is neither an absolute path nor the name of a credential";
	if (strlen(text) >= CONFIG_VALUE_TEXT)
		return "is too long";
	*(const char **)ret = text;
	return NULL;
}

const struct config_kind config_kind_credential = {
	.allowed = "an absolute path, or the name of a credential of the unit",
	.parse = credential_parse,
	.format = config_string_format,
};
