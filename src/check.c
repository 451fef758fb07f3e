/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "check_backend.h"
#include "check_say.h"
#include "config/config_keys.h"
#include "config/config_load.h"
#include "process/loader.h"
#include "process/sandbox.h"

#define CHECK_USER "novnc-gate"

static enum check_result worse(enum check_result a, enum check_result b)
{
	return a > b ? a : b;
}

/* ---- the configuration */

static void report(void *userdata, const char *error)
{
	const struct check *c = userdata;

	check_say(c->report, stderr, CHECK_SAY_ERROR, "configuration",
		  "correct it, novnc-gate.conf(5) explains each key", "%s", error);
}

/* Reads the configuration again: run as the service's user, this shows whether that user may read it. */
static enum check_result check_readable(const struct check *c)
{
	struct config cfg;
	enum config_result r = config_load(c->file, report, (void *)c, &cfg);

	config_done(&cfg);
	return r == CONFIG_OK ? CHECK_GOOD : CHECK_INVALID;
}

/* ---- TLS */

static enum check_result tls_failed(const struct check *c, const struct tls_why *why)
{
	check_say(c->report, stderr, CHECK_SAY_ERROR, "TLS",
		  "correct this file or its key in novnc-gate.conf(5)", "%s", why->text);
	return CHECK_INVALID;
}

/* Loads the files of a TLS connection to a backend, without connecting. */
static enum check_result check_backend_tls(const struct check *c,
					   const struct backend *be)
{
	const struct tls_module *module;
	struct tls_why why;
	struct tls *t;

	if (loader_tls(&module, &why) < 0 ||
	    module->connect(-1, be, NULL, &t, &why) != TLS_READY)
		return tls_failed(c, &why);
	module->free(t, false);
	return CHECK_GOOD;
}

/* Opens the files that are not credentials, to see whether this user may; TicketKey= need not exist. */
static enum check_result check_files(const struct check *c, const struct config_tls *tls)
{
	const struct {
		const char *key, *file;
	} files[] = {
		{ "Certificate", tls->certificate },
		{ "Key", tls->key },
		{ "TicketKey", tls->ticket_key },
		{ "ClientCaFile", tls->client_ca_file },
	};
	enum check_result r = CHECK_GOOD;

	for (size_t i = 0; i < COUNT(files); i++) {
		AUTO_FD int fd = -1;

		if (!files[i].file || files[i].file[0] != '/')
			continue;
		fd = open(files[i].file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		if (fd >= 0 || (errno == ENOENT && files[i].file == tls->ticket_key))
			continue;
		check_say(c->report, stderr, CHECK_SAY_ERROR, "TLS",
			  "let the user " CHECK_USER " read it, or correct the key",
			  "[Tls] %s=%s: %s", files[i].key, files[i].file,
			  strerror(errno));
		r = CHECK_INVALID;
	}
	return r;
}

struct inspection {
	const struct check *check;
	const struct config_tls *tls;
	enum check_result result;
};

/* --check=config only warns, so that an expired certificate does not keep the gate from starting. */
static void on_fault(void *userdata, bool invalid_now, const char *what)
{
	struct inspection *i = userdata;
	bool fails = invalid_now && i->check->whole;

	check_say(i->check->report, stderr, fails ? CHECK_SAY_ERROR : CHECK_SAY_WARNING,
		  "certificate", "install another certificate",
		  "%s[Tls] Certificate=%s: %s",
		  fails || i->check->report ? "" : "warning: ", i->tls->certificate,
		  what);
	if (fails)
		i->result = CHECK_NOT_READY;
}

/* A line "certificate", with its last second since 1970, and the hosts that it names. */
static void report_certificate(const struct tls_module *module, const struct tls *t)
{
	char names[1024];
	int64_t until;

	if (module->describe(t, names, sizeof(names), &until))
		(void)printf("certificate\t%lld\t%s\n", (long long)until, names);
}

/* Loads the files for TLS with clients, and checks the certificate as clients will. */
static enum check_result check_client_tls(const struct check *c,
					  const struct config_tls *tls)
{
	struct inspection i = { .check = c, .tls = tls };
	const struct tls_module *module;
	struct tls_why why;
	struct tls *t;

	if (loader_tls(&module, &why) < 0 ||
	    module->accept(-1, tls, &t, &why) != TLS_READY)
		return tls_failed(c, &why);
	module->inspect(t, on_fault, &i);
	if (c->report)
		report_certificate(module, t);
	module->free(t, false);
	return i.result;
}

/* The certificate or the key is a credential (no absolute path): only root and the service can read it. */
static bool has_credentials(const struct config_tls *tls)
{
	return tls->certificate[0] != '/' || tls->key[0] != '/';
}

/* Run as the service's user, or as the caller if that is not possible. */
static enum check_result check_tls(const struct check *c, const struct config *cfg)
{
	enum check_result r = CHECK_GOOD;

	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		if (cfg->backend[i].tls)
			r = worse(r, check_backend_tls(c, &cfg->backend[i]));
	if (!c->tls)
		return r;
	return worse(r, has_credentials(&cfg->tls) ? check_files(c, &cfg->tls)
						   : check_client_tls(c, &cfg->tls));
}

/* Run as the user who called the check. */
static enum check_result check_credentials(const struct check *c,
					   const struct config_tls *tls)
{
	if (getenv("CREDENTIALS_DIRECTORY"))
		return check_client_tls(c, tls);
	check_say(c->report, stdout, CHECK_SAY_NOTE, "certificate", "",
		  "[Tls]: credentials are not checked, because "
		  "$CREDENTIALS_DIRECTORY is not set");
	return CHECK_GOOD;
}

/* ---- routes and backends */

static void print_paths(const char *what, config_list paths, const char *to)
{
	for (; *paths; paths++)
		(void)printf("%s %s -> %s\n", what, *paths, to);
}

static void print_config(const struct config *cfg)
{
	const struct backend *nextjs = &cfg->backend[CONFIG_NEXTJS];
	const struct backend *controller = &cfg->backend[CONFIG_CONTROLLER];

	config_print(cfg);
	(void)printf("\nRouting:\n");
	print_paths("WebSocket", cfg->novnc_path, controller->url);
	print_paths("WebSocket", cfg->nextjs_upgrade_path, nextjs->url);
	(void)printf("any other WebSocket -> 403\n");
	print_paths("GET or HEAD", cfg->health_path, "200, from the gate itself");
	print_paths("request", cfg->controller_path, controller->url);
	(void)printf("any other request -> %s\n", nextjs->url);
	if (cfg->authorize_path)
		(void)printf("to %s only if authorized by %s%s\n", controller->url,
			     nextjs->url, cfg->authorize_path);
	(void)printf("\n");
}

static enum check_result check_backends(const struct check *c, const struct config *cfg)
{
	enum check_result r = CHECK_GOOD;

	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		if (!check_backend(c->report, cfg, (enum config_backend)i))
			r = CHECK_NOT_READY;
	return r;
}

/* ---- as the user who serves the connections: root may read and reach more */

struct user_check {
	const struct check *check;
	const struct config *cfg;
	bool valid; /* the configuration is valid; else its errors have been reported */
};

static enum check_result check_all_parts(const struct user_check *u)
{
	const struct check *c = u->check;
	enum check_result r = CHECK_GOOD;

	if (c->is_default_file && u->valid)
		r = check_readable(c);
	r = worse(r, check_tls(c, u->cfg));
	if (r == CHECK_INVALID || !u->valid || !c->whole)
		return r;
	if (c->report)
		(void)printf("good\tconfiguration\t%s is valid\t\nsettings\n", c->file);
	print_config(u->cfg);
	if (c->report)
		(void)printf("end of settings\n");
	return worse(r, check_backends(c, u->cfg));
}

/* Runs in the child, and ends it; its exit status is the result. */
static void run_as_user(const struct user_check *u)
{
	int r = loader_become(CHECK_USER);

	if (r < 0) {
		(void)fprintf(stderr,
			      "novnc-gate: cannot switch to user " CHECK_USER ": %s\n",
			      strerror(-r));
		_exit(CHECK_NOT_DONE);
	}
	r = (int)check_all_parts(u);
	_exit(fflush(stdout) != 0 ? CHECK_NOT_DONE : r);
}

static enum check_result run_in_child(const struct user_check *u)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		run_as_user(u);
	if (pid < 0) {
		(void)fprintf(stderr, "novnc-gate: fork: %s\n", strerror(errno));
		return CHECK_NOT_DONE;
	}
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status)) {
		(void)fprintf(stderr, "novnc-gate: the check as user " CHECK_USER
				      " was killed\n");
		return CHECK_NOT_DONE;
	}
	if (WEXITSTATUS(status) >= CHECK_NOT_DONE)
		return CHECK_NOT_DONE;
	if (WEXITSTATUS(status) != CHECK_GOOD && !u->check->report)
		(void)fprintf(stderr, "novnc-gate: checked as user " CHECK_USER
				      ", which serves the connections\n");
	return (enum check_result)WEXITSTATUS(status);
}

static enum check_result check_as_user(const struct user_check *u)
{
	if (geteuid() == 0 && loader_user_exists(CHECK_USER))
		return run_in_child(u);
	if (geteuid() == 0 && u->check->whole)
		check_say(u->check->report, stdout, CHECK_SAY_NOTE, "user", "",
			  "There is no user " CHECK_USER
			  ". Checking as root, which may read and reach more.");
	return check_all_parts(u);
}

/* ---- the whole check */

enum check_result check_run(const struct check *c)
{
	struct config cfg;
	struct user_check u = { .check = c, .cfg = &cfg };
	const struct tls_module *module;
	struct tls_why why;
	enum check_result r;

	u.valid = config_load(c->file, report, (void *)c, &cfg) == CONFIG_OK;
	if (c->proxy_protocol &&
	    config_use_proxy_protocol(&cfg, c->file, report, (void *)c) != CONFIG_OK)
		u.valid = false;
	/*
	 * Loads the TLS module now: the service's user may not be able to read it, for example
	 * in root's home directory, before the installation. It stays loaded in the child,
	 * whose check_tls() reports errors.
	 */
	if (sandbox_needs(&cfg, c->tls) & SANDBOX_TLS)
		(void)loader_tls(&module, &why);
	r = worse(check_as_user(&u), u.valid ? CHECK_GOOD : CHECK_INVALID);
	if (r < CHECK_INVALID && c->tls && has_credentials(&cfg.tls))
		r = worse(r, check_credentials(c, &cfg.tls));
	config_done(&cfg);
	return r;
}
