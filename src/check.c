/* SPDX-License-Identifier: MIT */
/* `--check`: for people, on standard output and standard error. */
#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "check_backend.h"
#include "check_user.h"
#include "process/loader.h"

/* ---- the configuration */

static void report(void *userdata, const char *file, unsigned line, const char *what)
{
	(void)userdata;
	if (line > 0)
		(void)fprintf(stderr, "%s:%u: %s\n", file, line, what);
	else
		(void)fprintf(stderr, "%s: %s\n", file, what);
}

/* Reads the configuration as the service's user, and reports the parts denied to it. */
static int check_readable(const char *file)
{
	struct config cfg;
	int r = config_load(file, report, NULL, &cfg);

	config_done(&cfg);
	return r < 0 ? -EBADMSG : 0;
}

/* ---- TLS */

static int complain(const struct tls_why *why)
{
	(void)fprintf(stderr, "%s\n", why->text);
	return -EBADMSG;
}

/* Tries to set up TLS with a backend, without connecting. */
static int check_backend_tls(const struct backend *be)
{
	const struct tls_module *module;
	struct tls_why why;
	struct tls *t;

	if (loader_tls(&module, &why) < 0 ||
	    module->connect(-1, be, &t, &why) != TLS_READY)
		return complain(&why);
	module->free(t, false);
	return 0;
}

/* Whether this user may open the files that are no credentials. */
static int check_files(const struct config_tls *tls)
{
	const struct {
		const char *key, *file;
	} files[] = {
		{ "Certificate", tls->certificate },
		{ "Key", tls->key },
		{ "TicketKey", tls->ticket_key },
		{ "ClientCaFile", tls->client_ca_file },
	};
	int r = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		AUTO_FD int fd = -1;

		if (!files[i].file || files[i].file[0] != '/')
			continue;
		fd = open(files[i].file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		if (fd >= 0 || (errno == ENOENT && files[i].file == tls->ticket_key))
			continue;
		(void)fprintf(stderr, "[Tls] %s=%s: %s\n", files[i].key, files[i].file,
			      strerror(errno));
		r = -EBADMSG;
	}
	return r;
}

/* The gate's own certificate, as it is looked at. */
struct own {
	const struct check *what;
	const struct config_tls *tls;
	int error;
};

/* Without whole, as the socket runs it, a certificate that has expired must not stop the start. */
static void on_objection(void *userdata, int error, const char *what)
{
	struct own *own = userdata;
	bool fails = error < 0 && own->what->whole;

	(void)fprintf(stderr, "%s[Tls] Certificate=%s: %s\n",
		      fails ? "" : "warning: ", own->tls->certificate, what);
	if (fails)
		own->error = error;
}

/* Tries to set up TLS with a client, and judges the certificate as clients will. */
static int check_client_tls(const struct check *c, const struct config_tls *tls)
{
	struct own own = { .what = c, .tls = tls };
	const struct tls_module *module;
	struct tls_why why;
	struct tls *t;

	if (loader_tls(&module, &why) < 0 ||
	    module->accept(-1, tls, &t, &why) != TLS_READY)
		return complain(&why);
	module->inspect(t, on_objection, &own);
	module->free(t, false);
	return own.error;
}

/* A credential, in contrast to a path, can be read by root and the service only. */
static bool has_credentials(const struct config_tls *tls)
{
	return tls->certificate[0] != '/' || tls->key[0] != '/';
}

/* Called as the user who serves the connections. */
static int check_tls(const struct check *c, const struct config *cfg)
{
	int r = 0, own = 0;

	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		if (cfg->backend[i].tls && check_backend_tls(&cfg->backend[i]) < 0)
			r = -EBADMSG;
	if (c->tls)
		own = has_credentials(&cfg->tls) ? check_files(&cfg->tls)
						 : check_client_tls(c, &cfg->tls);
	return r < 0 ? r : own;
}

/* Called as whoever runs the check. */
static int check_credentials(const struct check *c, const struct config_tls *tls)
{
	if (getenv("CREDENTIALS_DIRECTORY"))
		return check_client_tls(c, tls);
	(void)printf("[Tls]: credentials are not checked, because "
		     "$CREDENTIALS_DIRECTORY is not set\n");
	return 0;
}

/* ---- what would be done */

static void print_paths(const char *what, config_list paths, const struct backend *be)
{
	for (; *paths; paths++)
		(void)printf("%s %s -> %s\n", what, *paths, be->url);
}

static void print_config(const struct config *cfg)
{
	const struct backend *nextjs = &cfg->backend[CONFIG_NEXTJS];
	const struct backend *controller = &cfg->backend[CONFIG_CONTROLLER];

	config_print(cfg);
	(void)printf("\nRouting:\n");
	print_paths("WebSocket", cfg->novnc_path, controller);
	print_paths("WebSocket", cfg->nextjs_upgrade_path, nextjs);
	(void)printf("any other WebSocket -> 403\n");
	print_paths("request", cfg->controller_path, controller);
	(void)printf("any other request -> %s\n\n", nextjs->url);
}

static int check_backends(const struct config *cfg)
{
	int first = 0;

	for (size_t i = 0; i < CONFIG_BACKENDS; i++) {
		int r = check_backend(cfg, (enum config_backend)i);

		if (first == 0)
			first = r;
	}
	return first;
}

/* ---- the whole */

struct look {
	const struct check *what;
	const struct config *cfg;
	bool broken; /* the configuration itself */
};

static int look(void *userdata)
{
	const struct look *l = userdata;
	int r = l->what->installed && !l->broken ? check_readable(l->what->file) : 0;
	int tls = check_tls(l->what, l->cfg), backends = 0;

	if (r == 0 && tls != -EBADMSG && l->what->whole && !l->broken) {
		print_config(l->cfg);
		backends = check_backends(l->cfg);
	}
	return r < 0 ? r : tls < 0 ? tls : backends;
}

/*
 * Loads the module of TLS while this is still root: the service's user may not reach it,
 * such as in root's home before it is installed.
 */
static void load_before(const struct check *c, const struct config *cfg)
{
	const struct tls_module *module;
	struct tls_why why;
	bool needed = c->tls;

	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		needed |= cfg->backend[i].tls;
	if (needed)
		(void)loader_tls(&module, &why); /* its failure is told when it is used */
}

int check_run(const struct check *c)
{
	struct config cfg;
	struct look l = { .what = c, .cfg = &cfg };
	int r, found, own = 0;

	l.broken = config_load(c->file, report, NULL, &cfg) < 0;
	load_before(c, &cfg);
	r = check_as_user(look, &l, c->whole, &found);
	if (r == 0 && l.broken)
		found = -EBADMSG;
	if (r == 0 && found != -EBADMSG && c->tls && has_credentials(&cfg.tls))
		own = check_credentials(c, &cfg.tls);
	config_done(&cfg);
	if (r < 0)
		return r;
	if (found == -EBADMSG || own == -EBADMSG)
		return -EBADMSG;
	return found < 0 || own < 0;
}
