/* SPDX-License-Identifier: MIT */
/* Finds and loads the module that has TLS. */
#include "tls.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>

/* Beside the program as it is built, and where `make install` puts it, wherever that is. */
static const char *const places[] = { "", "../lib/novnc-gate/" };

int tls_place(size_t i, char ret[static TLS_MODULE_PATH])
{
	char program[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program));

	while (len > 0 && program[len - 1] != '/')
		len--;
	if (i >= sizeof(places) / sizeof(places[0]) || len <= 0)
		return -ENOENT;
	(void)snprintf(ret, TLS_MODULE_PATH, "%.*s%s" TLS_MODULE, (int)len, program,
		       places[i]);
	return 0;
}

static void *module_open(struct tls_why *why)
{
	char path[TLS_MODULE_PATH];
	void *library = NULL;

	(void)snprintf(why->text, sizeof(why->text), "no /proc to find it by");
	for (size_t i = 0; !library && tls_place(i, path) == 0; i++) {
		library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		if (!library)
			(void)snprintf(why->text, sizeof(why->text), "%s", dlerror());
	}
	return library;
}

int tls_load(const struct tls_module **ret, struct tls_why *why)
{
	void *library = module_open(why);
	const struct tls_module *m = library ? dlsym(library, TLS_SYMBOL) : NULL;

	if (!library)
		return -ENOENT;
	if (!m || strcmp(m->version, NOVNC_GATE_VERSION) != 0) {
		/* a connection that has outlived an upgrade; the next one has both anew */
		(void)snprintf(why->text, sizeof(why->text),
			       TLS_MODULE " is not of version " NOVNC_GATE_VERSION);
		return -ENOENT;
	}
	*ret = m;
	return 0;
}
