/* SPDX-License-Identifier: MIT */
/*
 * Whose entries of the journal are read: matches of the fields that the kernel and journald note, which nobody
 * can forge. user: those of the caller's service manager. They return 0 or -errno.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-journal.h>

/* The gate. */
int writer_gate(sd_journal *j, bool user);

/* Administrators who disconnect; they can be any user, and say of which service manager the session was. */
int writer_administrator(sd_journal *j, bool user);
#define WRITER_MANAGER          "NOVNC_GATE_MANAGER"
#define WRITER_MANAGER_OF(user) ((user) ? "user" : "system")

/* The service manager itself. */
int writer_systemd(sd_journal *j, bool user);
