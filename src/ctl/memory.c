/* SPDX-License-Identifier: MIT */
#include "ctl/memory.h"

#include <err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void memory_none(void)
{
	errx(EXIT_FAILURE, "Out of memory");
}

static void *checked(void *p)
{
	if (!p)
		memory_none();
	return p;
}

char *memory_copy(struct slice text)
{
	return checked(strndup(text.p ? text.p : "", text.len));
}

void *memory_array(void *p, size_t n, size_t size)
{
	return checked(reallocarray(p, n > 0 ? n : 1, size));
}

char *memory_print(const char *format, ...)
{
	char *text = NULL;
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vasprintf(&text, format, arguments);
	va_end(arguments);
	return checked(n < 0 ? NULL : text);
}
