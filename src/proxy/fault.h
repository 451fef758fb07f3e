/* SPDX-License-Identifier: MIT */
/* The fault of an exchange, as sentences for the log and for the error response. */
#pragma once

#include "net/dial.h"

enum fault_blame {
	FAULT_NOBODY, /* no fault, the end of a tunnel, a client that is gone, SIGTERM */
	FAULT_CLIENT,
	FAULT_BACKEND,
	FAULT_GATE,   /* this process or this machine */
	FAULT_CONFIG, /* a key that the administrator has to correct */
};

struct fault {
	enum fault_blame blame;
	unsigned status;  /* for the error response, if one can still be sent */
	const char *type; /* for Proxy-Status, RFC 9209 2.3; NULL: that of the status */
	char reason[512]; /* a sentence without full stop; "": no fault */
	char shown[256];  /* for the client, without addresses and files; "": as reason */
};

/* Clears the fault. */
void fault_clear(struct fault *f);

/*
 * Sets blame, status, reason, and the general type for them; too long a reason is cut. With FAULT_GATE and FAULT_CONFIG the
 * client gets a general sentence.
 */
void fault_set(struct fault *f, enum fault_blame blame, unsigned status,
	       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* After fault_set(): sets another type. */
void fault_set_type(struct fault *f, const char *type);

/* The type for an error of a connection to a backend, -errno. */
const char *fault_type_of(int error);

/* Appends to the reason. */
void fault_append(struct fault *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* After fault_set(): sets the sentence for the client. */
void fault_show(struct fault *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Sets the fault: the connection to `name` has failed with -errno. The blame is FAULT_GATE if the error
 * is this machine's, else `blame`.
 */
void fault_set_broken(struct fault *f, enum fault_blame blame, const char *name,
		      const struct stream *s, int error);

/*
 * Sets the fault: dialling `name` has failed with DIAL_TIMED_OUT to DIAL_TLS_FAILED. The reason has
 * addresses and files, the sentence for the client does not.
 */
void fault_set_dial(struct fault *f, const char *name, enum dial_result result,
		    const struct dial *d);
