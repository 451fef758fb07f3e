/* SPDX-License-Identifier: MIT */
/* Names of fields that have a rule of their own when a message is forwarded. No I/O. */
#ifndef NOVNC_GATE_FIELDS_H
#define NOVNC_GATE_FIELDS_H

#include "base/buf.h"

/*
 * Describes the connection that it comes on or a message's framing (RFC 9110 7.6.1), so it is
 * never forwarded. The fields that Connection names are in the same case; they are not known
 * here.
 */
bool fields_is_hop_by_hop(struct slice name);

/* Has a "_" in it, for which some backends, such as CGI programs, read a "-". */
bool fields_is_ambiguous(struct slice name);

/*
 * Tells a backend who asks, so only the gate may set it: Host, X-Forwarded-* and the like, and
 * every ambiguous one.
 */
bool fields_is_reserved(struct slice name);

/* May follow a chunked body as a trailer (RFC 9110 6.5.1). */
bool fields_may_trail(struct slice name);

/* Must not be named by a client's Connection: it would be taken away from a backend. */
bool fields_is_protected(struct slice name);

#endif
