/* SPDX-License-Identifier: MIT */
/* Finds the sessions that a word on the command line names. No I/O. */
#pragma once

#include "base/buf.h"
#include "ctl/sessions.h"

/* The address without brackets and port: "2001:db8::1" of "[2001:db8::1]:51234". Other texts stay. */
struct slice match_address(struct slice client);

/*
 * The word as the gate's status and the journal have it, if it is an id or a user of more than LOG_VALUE_MAX bytes:
 * cut, with "..." at the end. free() it.
 */
char *match_cut(const char *word);

enum match {
	MATCH_NONE,
	MATCH_EXACT, /* a name: each session that has it */
	MATCH_GLOB,  /* a pattern, for some of the sessions, or for the only one */
	MATCH_ALL,   /* a pattern, for all sessions, of which there are several */
};

/*
 * Compares the word, cut as above, with the id, the user, the client's address (with or without its port) and the unit
 * (with or without ".service") of each session. If one of these is the word itself, the word is no glob, unless
 * also_glob is set: a session whose id is "*" must not protect the others. Sets marked[i] for each that is named;
 * the others stay as they are.
 */
enum match match_sessions(const struct sessions *s, const char *word, bool also_glob,
			  bool marked[]);
