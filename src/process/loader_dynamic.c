/* SPDX-License-Identifier: MIT */
/* In novnc-gate-dynamic: name resolution, and the TLS module. */
#include "process/loader.h"

#include <dlfcn.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>

#define MODULE "novnc-gate-tls.so"

int loader_reexec(char *argv[])
{
	(void)argv;
	return 0;
}

/* ---- names */

/* No AI_ADDRCONFIG: it drops ::1 where IPv6 is on loopback only. */
int loader_resolve(const struct backend *be, struct addrinfo **ret)
{
	static const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV,
	};
	sigset_t term, saved;
	char port[8];
	int r;

	(void)snprintf(port, sizeof(port), "%u", be->port);
	(void)sigemptyset(&term); /* none of these calls fails with these arguments */
	(void)sigaddset(&term, SIGTERM);
	(void)pthread_sigmask(SIG_UNBLOCK, &term, &saved);
	r = getaddrinfo(be->host, port, &hints, ret);
	(void)pthread_sigmask(SIG_SETMASK, &saved, NULL);
	return r;
}

void loader_free_addresses(struct addrinfo *list)
{
	freeaddrinfo(list);
}

bool loader_user_exists(const char *name)
{
	return getpwnam(name) != NULL;
}

int loader_become(const char *name)
{
	const struct passwd *user = getpwnam(name);

	if (!user)
		return -ESRCH;
	return initgroups(name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 ||
			       setuid(user->pw_uid) < 0
		       ? -errno
		       : 0;
}

/* ---- TLS */

int loader_tls(const struct tls_module **ret, struct tls_why *why)
{
	char path[PATH_MAX];
	int r = loader_path(MODULE, path);
	void *library = r < 0 ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct tls_module *m = library ? dlsym(library, TLS_SYMBOL) : NULL;

	if (m && strcmp(m->version, NOVNC_GATE_VERSION) == 0 && m->layout == TLS_LAYOUT) {
		*ret = m;
		return 0;
	}
	if (r < 0)
		(void)snprintf(why->text, sizeof(why->text), "/proc/self/exe: %s",
			       strerror(-r));
	else if (!library)
		(void)snprintf(why->text, sizeof(why->text), "%s", dlerror());
	else /* an upgrade has replaced it during this connection */
		(void)snprintf(why->text, sizeof(why->text),
			       MODULE " is not from version " NOVNC_GATE_VERSION);
	return -ENOENT;
}
