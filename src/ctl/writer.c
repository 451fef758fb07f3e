/* SPDX-License-Identifier: MIT */
#include "ctl/writer.h"

#include <pwd.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "ctl/entry.h"
#include "ctl/memory.h"

#define GATE_USER "novnc-gate"

int writer_gate(sd_journal *j, bool user)
{
	const struct passwd *gate = user ? NULL : getpwnam(GATE_USER);
	char *uid = memory_print("%u", gate ? gate->pw_uid : getuid());
	int r = entry_match(j, "_UID", uid);

	free(uid);
	return r;
}

int writer_administrator(sd_journal *j, bool user)
{
	int r = entry_match(j, WRITER_MANAGER, WRITER_MANAGER_OF(user));

	/* only the caller ends sessions of the caller's gate */
	return r < 0 || !user ? r : writer_gate(j, user);
}

int writer_systemd(sd_journal *j, bool user)
{
	int r;

	if (user) /* the caller's own entries could be forged by the caller only */
		return writer_gate(j, user);
	r = entry_match(j, "_UID", "0");
	return r < 0 ? r : entry_match(j, "_PID", "1");
}
