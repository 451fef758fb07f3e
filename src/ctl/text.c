/* SPDX-License-Identifier: MIT */
#include "ctl/text.h"

#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

bool text_is_utf8(void)
{
	locale_t user = newlocale(LC_CTYPE_MASK, "", NULL);
	bool is_utf8 = user && strcmp(nl_langinfo_l(CODESET, user), "UTF-8") == 0;

	if (user)
		freelocale(user);
	return is_utf8;
}

void text_bytes(uint64_t bytes, char ret[static TEXT_MAX])
{
	static const char units[] = "BKMGTPE";
	size_t i = 0;
	uint64_t rest = 0;

	for (; bytes >= 1024; bytes /= 1024, i++)
		rest = bytes % 1024;
	if (i == 0)
		(void)snprintf(ret, TEXT_MAX, "%" PRIu64 "B", bytes);
	else
		(void)snprintf(ret, TEXT_MAX, "%" PRIu64 ".%" PRIu64 "%c", bytes,
			       rest * 10 / 1024, units[i]);
}

void text_span(uint64_t ms, char ret[static TEXT_MAX])
{
	static const struct {
		const char *name;
		uint64_t seconds;
	} units[] = { { "d", 86400 }, { "h", 3600 }, { "min", 60 }, { "s", 1 } };
	const size_t last = sizeof(units) / sizeof(units[0]) - 1;
	uint64_t s = ms / 1000, second;
	size_t i = 0;

	while (i < last && s < units[i].seconds)
		i++;
	second = i < last ? s % units[i].seconds / units[i + 1].seconds : 0;
	if (second > 0)
		(void)snprintf(ret, TEXT_MAX, "%" PRIu64 "%s %" PRIu64 "%s",
			       s / units[i].seconds, units[i].name, second,
			       units[i + 1].name);
	else
		(void)snprintf(ret, TEXT_MAX, "%" PRIu64 "%s", s / units[i].seconds,
			       units[i].name);
}

static void format(uint64_t us, const char *how, char ret[static TEXT_MAX])
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;

	if (!localtime_r(&seconds, &tm) || strftime(ret, TEXT_MAX, how, &tm) == 0)
		(void)snprintf(ret, TEXT_MAX, "@%" PRIu64, us / 1000000);
}

void text_time(uint64_t us, char ret[static TEXT_MAX])
{
	format(us, "%Y-%m-%d %H:%M:%S", ret);
}

void text_time_long(uint64_t us, char ret[static TEXT_MAX])
{
	format(us, "%a %Y-%m-%d %H:%M:%S %Z", ret);
}
