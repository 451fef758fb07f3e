/* SPDX-License-Identifier: MIT */
/* Finds and loads the module that has TLS. */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>

#include "tls.h"

/* Beside the program as it is built, and where `make install` puts it, wherever that is. */
static const char *const places[] = { "", "../lib/novnc-gate/" };

static void *module_open(struct tls_why *why)
{
	char program[PATH_MAX], path[PATH_MAX + 64];
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program));
	void *library = NULL;

	while (len > 0 && program[len - 1] != '/')
		len--;
	if (len <= 0) {
		(void)snprintf(why->text, sizeof(why->text), "/proc/self/exe: %s",
			       strerror(errno));
		return NULL;
	}
	for (size_t i = 0; !library && i < sizeof(places) / sizeof(places[0]); i++) {
		(void)snprintf(path, sizeof(path), "%.*s%s" TLS_MODULE, (int)len, program,
			       places[i]);
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
