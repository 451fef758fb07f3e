/* SPDX-License-Identifier: MIT */
/* In novnc-gate: there is no loader, but a program that has one. */
#include "loader.h"

#include <stdio.h>

int loader_need(char *argv[])
{
	/* beside this one as it is built, and where `make install` puts it */
	static const char *const directories[] = { "", "../lib/novnc-gate/" };
	char path[PATH_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(directories) / sizeof(directories[0]);
	     i++) {
		r = loader_path(directories[i], LOADER_PROGRAM, path);
		if (r == 0)
			(void)execv(path, argv); /* returns only where it is not there */
	}
	return r < 0 ? r : -errno;
}

/* What follows is reached only if that failed. */

int loader_resolve(const struct backend *be, struct addrinfo **ret)
{
	(void)be;
	*ret = NULL;
	return EAI_FAIL;
}

void loader_resolved(struct addrinfo *list)
{
	(void)list;
}

int loader_tls(const struct tls_module **ret, struct tls_why *why)
{
	*ret = NULL;
	(void)snprintf(why->text, sizeof(why->text), "it takes " LOADER_PROGRAM);
	return -ENOENT;
}

int loader_tls_path(char ret[static PATH_MAX])
{
	(void)ret;
	return -ENOENT;
}
