/* SPDX-License-Identifier: MIT */
/* systemd.syntax(7): a file's text to sections and assignments, whatever they mean. No I/O. */
#ifndef NOVNC_GATE_CONFIG_SYNTAX_H
#define NOVNC_GATE_CONFIG_SYNTAX_H

#include <stddef.h>

/* The longest line, without its end, in bytes. */
#define CONFIG_LINE_MAX 4096

enum config_syntax_kind {
	CONFIG_SYNTAX_END,
	CONFIG_SYNTAX_SECTION,    /* name */
	CONFIG_SYNTAX_ASSIGNMENT, /* name, value */
	CONFIG_SYNTAX_ERROR,      /* why, for people; what follows may be read on */
};

/* What config_syntax_next() has found. The strings lie in the text. */
struct config_syntax_item {
	enum config_syntax_kind kind;
	unsigned line;    /* where it begins */
	const char *name; /* without the brackets or the "=" */
	char *value;      /* trimmed, continued lines joined */
	char why[128];
};

struct config_syntax {
	char *next;    /* the text not yet read, */
	char *end;     /* its end, */
	unsigned line; /* and the lines read before it */
};

/* Reads the text in place: lines are joined and ended in it. text[len] must be a NUL. */
void config_syntax_init(struct config_syntax *s, char *text, size_t len);

/* Finds the next section, assignment or error; ret->kind says which. */
void config_syntax_next(struct config_syntax *s, struct config_syntax_item *ret);

#endif
