/* SPDX-License-Identifier: MIT */
#include "config/config_print.h"

#include <stdio.h>
#include <string.h>

#include "config/config_keys.h"

static void print_list(config_list words)
{
	for (const char *gap = ""; *words; words++, gap = " ")
		printf("%s%s", gap, *words);
}

static void print_value(const struct config_key *k, const void *value)
{
	char text[CONFIG_VALUE_TEXT];

	if (k->kind->check_word) {
		print_list(*(const config_list *)value);
	} else {
		k->kind->format(value, text);
		printf("%s", text);
	}
}

void config_print(const struct config *c)
{
	const char *section = "";

	for (const struct config_key *k = config_keys; k->section; k++) {
		if (!k->kind)
			continue;
		if (strcmp(k->section, section) != 0)
			printf("%s[%s]\n", section[0] != '\0' ? "\n" : "", k->section);
		section = k->section;
		printf("%s=", k->name);
		print_value(k, (const char *)c + k->offset);
		printf("\n");
	}
}
