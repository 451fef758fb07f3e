/* SPDX-License-Identifier: MIT */
/* Entries of the gate by kind, and their reasons in few words. No I/O. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-messages.h>

#include "ctl/entry.h"

enum event_kind {
	EVENT_HANDLING,   /* a session is allowed */
	EVENT_PROXYING,   /* the master-controller has accepted it */
	EVENT_CLOSED,     /* it has ended, also before it was accepted */
	EVENT_REFUSAL,    /* of a request or a connection */
	EVENT_FAILURE,    /* of a backend, of the configuration or of the gate */
	EVENT_DISCONNECT, /* an administrator ends a session; novnc-gatectl writes it */
	EVENT_KILLED,     /* the process of a session was killed; systemd writes it */
	EVENT_OTHER,
};

struct event {
	const char *id; /* MESSAGE_ID=; several can be of one kind */
	enum event_kind kind;
};

/* units/novnc-gatectl.catalog has it, too. */
#define EVENT_DISCONNECT_ID "5a5fc13451c94dc991b50c878634f521"

/* "Failed with result 'signal'." */
#define EVENT_KILLED_ID SD_MESSAGE_UNIT_FAILURE_RESULT_STR

/* The last one has an id of NULL. */
extern const struct event events[];

enum event_kind event_kind(const struct entry *e);

/* The entry says that the master-controller failed or has not accepted a session. */
bool event_is_not_opened(const struct entry *e);

/* The reason of an EVENT_CLOSED, EVENT_KILLED, EVENT_REFUSAL or EVENT_FAILURE, as one of few words: "client_closed". */
const char *event_label(const struct entry *e);

/* The labels of that kind, in order; NULL: there are no more. */
const char *event_label_at(enum event_kind kind, size_t i);
