/* SPDX-License-Identifier: MIT */
/* The one table of field names that are treated specially when a message is forwarded. No I/O. */
#pragma once

#include "base/buf.h"

enum fields_rule {
	/* describes one connection or the framing, so it is not forwarded (RFC 9110 7.6.1) */
	FIELDS_HOP_BY_HOP = 1,
	/* a client must not set it: what a client sent is left out, and the gate may set it itself */
	FIELDS_RESERVED = 2,
	/* backends decide by it, so a client's Connection must not remove it */
	FIELDS_PROTECTED = 4,
	/* means something only before the content, so it is no trailer (RFC 9110 6.5.1) */
	FIELDS_HEAD_ONLY = 8,
	/* has a "_": CGI turns "-" into "_", so a backend cannot tell both names apart; also RESERVED */
	FIELDS_AMBIGUOUS = 16,
	/* for the gate, or set by it: what a backend sent is left out of responses; also RESERVED */
	FIELDS_PRIVATE = 32,
};

/* The rules for a field name, as bits; 0 for most names. */
unsigned fields_rules(struct slice name);
