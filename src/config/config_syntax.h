/* SPDX-License-Identifier: MIT */
/* Splits a text in the syntax of systemd.syntax(7) into sections and assignments. No I/O. */
#pragma once

#include <stddef.h>

/* The longest line in bytes, without its LF. */
#define CONFIG_LINE_MAX 4096

/* White space within a line. */
#define CONFIG_BLANK " \t"

enum config_syntax_kind {
	CONFIG_SYNTAX_END,
	CONFIG_SYNTAX_SECTION,
	CONFIG_SYNTAX_ASSIGNMENT,
	/* reading may go on; after a line that is not text or is too long, the end comes next */
	CONFIG_SYNTAX_ERROR,
};

/* The strings point into the text. */
struct config_syntax_item {
	unsigned line;    /* the number of its first line */
	const char *name; /* of a section or a key */
	char *value;      /* of an assignment: trimmed, continuation lines joined */
	char why[136];    /* of an error: its message; it quotes 80 bytes at most */
};

struct config_syntax {
	char *next;    /* the next line */
	char *end;     /* the end of the text */
	unsigned line; /* how many lines have been read */
};

/* The text is changed as it is read: lines are joined and end in a NUL. text[len] must be a NUL. */
void config_syntax_init(struct config_syntax *s, char *text, size_t len);

/* Finds the next section, assignment or error. */
enum config_syntax_kind config_syntax_next(struct config_syntax *s,
					   struct config_syntax_item *ret);
