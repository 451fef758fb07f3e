/* SPDX-License-Identifier: MIT */
#include "check_say.h"

#include <stdarg.h>

static const char *const levels[] = {
	[CHECK_SAY_GOOD] = "good",
	[CHECK_SAY_NOTE] = "note",
	[CHECK_SAY_WARNING] = "warning",
	[CHECK_SAY_ERROR] = "error",
};

void check_say(bool report, FILE *to, enum check_level level, const char *subject,
	       const char *hint, const char *format, ...)
{
	char text[2048];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (!report) {
		(void)fprintf(to, "%s\n", text);
		return;
	}
	for (char *p = text; *p; p++)
		if (*p == '\t' || *p == '\n')
			*p = ' ';
	(void)printf("%s\t%s\t%s\t%s\n", levels[level], subject, text, hint);
	/* now, or a child would print it once more */
	(void)fflush(stdout);
}
