/* SPDX-License-Identifier: MIT */
/* In novnc-gate, which has no loader: executes the program that has one. */
#include "process/loader.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

/* A broken installation, such as a link to this program, must not lead to endless re-execution. */
static bool is_own(const char *path)
{
	struct stat own, other;

	return stat("/proc/self/exe", &own) == 0 && stat(path, &other) == 0 &&
	       own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

int loader_reexec(char *argv[])
{
	/* where `make` puts the program, and where `make install` does */
	static const char *const programs[] = { LOADER_PROGRAM,
						"../lib/novnc-gate/" LOADER_PROGRAM };
	char path[PATH_MAX];
	int r = -ENOENT;

	for (size_t i = 0; r == -ENOENT && i < COUNT(programs); i++) {
		r = loader_path(programs[i], path);
		if (r < 0)
			break;
		if (is_own(path))
			return -ELOOP;
		(void)execv(path, argv); /* returns only on failure */
		r = -errno;
	}
	return r;
}

/* The functions below are called only after loader_reexec() has failed. */

int loader_resolve(const struct backend *be, struct addrinfo **ret)
{
	(void)be;
	*ret = NULL;
	return EAI_FAIL;
}

void loader_free_addresses(struct addrinfo *list)
{
	(void)list;
}

bool loader_user_exists(const char *name)
{
	(void)name;
	return false;
}

int loader_become(const char *name)
{
	(void)name;
	return -ENOSYS;
}

int loader_tls(const struct tls_module **ret, struct tls_why *why)
{
	*ret = NULL;
	(void)snprintf(why->text, sizeof(why->text), "TLS requires " LOADER_PROGRAM);
	return -ENOENT;
}
