/* SPDX-License-Identifier: MIT */
/* `--check`: for people, on standard output and standard error. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "loader.h"
#include "stream.h"

#define CHECK_OBJECTION_MS 200 /* for an alert behind the handshake */

static void report(void *userdata, const char *file, unsigned line, const char *what)
{
	(void)userdata;
	if (line > 0)
		(void)fprintf(stderr, "%s:%u: %s\n", file, line, what);
	else
		(void)fprintf(stderr, "%s: %s\n", file, what);
}

/* Whether TLS with a backend (or, where that is NULL, with a client) could begin. */
static int check_tls(const struct config *cfg, const struct backend *be)
{
	const struct tls_module *module;
	struct tls_why why;
	struct tls *t;
	int r = loader_tls(&module, &why);

	if (r == 0)
		r = be ? module->connect(-1, be, &t, &why)
		       : module->accept(-1, &cfg->tls, &t, &why);
	if (r < 0) {
		(void)fprintf(stderr, "%s\n", why.text);
		return -EBADMSG;
	}
	module->free(t, false);
	return 0;
}

/* Whether this user may open the files that are no credentials. */
static int check_files(const struct config_tls *tls)
{
	const char *const files[] = { tls->certificate, tls->key, tls->ticket_key,
				      tls->client_ca_file };
	static const char *const names[] = { "Certificate", "Key", "TicketKey",
					     "ClientCaFile" };
	int r = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		AUTO_FD int fd = -1;

		if (!files[i] || files[i][0] != '/')
			continue;
		fd = open(files[i], O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		if (fd >= 0 || (errno == ENOENT && files[i] == tls->ticket_key))
			continue;
		(void)fprintf(stderr, "[Tls] %s=%s: %s\n", names[i], files[i],
			      strerror(errno));
		r = -EBADMSG;
	}
	return r;
}

/*
 * Credentials are root's, and only a service is shown them: its socket unit checks as the
 * service's user what that has to open itself, then as root the whole.
 */
static int check_client_tls(const struct config *cfg)
{
	if (getenv("CREDENTIALS_DIRECTORY") ||
	    (cfg->tls.certificate[0] == '/' && cfg->tls.key[0] == '/'))
		return check_tls(cfg, NULL);
	(void)printf("[Tls]: credentials are not looked at without "
		     "$CREDENTIALS_DIRECTORY\n");
	return check_files(&cfg->tls);
}

int check_config(const char *file, bool tls, struct config *ret)
{
	int r = config_load(file, report, NULL, ret);

	for (size_t i = 0; i < CONFIG_BACKENDS; i++)
		if (ret->backend[i].tls && check_tls(ret, &ret->backend[i]) < 0)
			r = -EBADMSG;
	if (tls && check_client_tls(ret) < 0)
		r = -EBADMSG;
	return r;
}

/*
 * Since TLS 1.3 a client's certificate is judged behind the handshake: an objection comes next.
 * A backend says nothing else unasked.
 */
static int check_objection(struct stream *s, struct stream_cause *cause)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	char room[64];
	struct buf b = { .data = room, .cap = sizeof(room) };
	ssize_t n = -EAGAIN;

	while (n == -EAGAIN && poll(&p, 1, CHECK_OBJECTION_MS) > 0)
		n = stream_read(s, &b);
	if (n >= 0 || n == -EAGAIN)
		return 0;
	(void)snprintf(cause->text, sizeof(cause->text), "TLS: %s",
		       stream_strerror(s, (int)n));
	return (int)n;
}

static int check_backend(const struct config *cfg, const struct backend *be)
{
	struct stream_cause cause = { "" };
	struct stream s = STREAM_NONE;
	int r = stream_dial(be, cfg->connect_ms, -1, -1, &s, &cause);

	if (r == 0 && be->tls)
		r = check_objection(&s, &cause);
	if (r < 0)
		(void)printf("%s: %s\n", be->name, cause.text);
	else
		(void)printf("%s: %s accepts connections%s\n", be->name, be->url,
			     !be->tls           ? ""
			     : be->trust.verify ? ", its certificate is good"
						: "; VerifyTls=no: nobody knows whose");
	stream_done(&s);
	return r;
}

static void print_paths(const char *what, config_list paths, const struct backend *be)
{
	for (; *paths; paths++)
		(void)printf("%s %s -> %s\n", what, *paths, be->url);
}

int check_backends(const struct config *cfg)
{
	const struct backend *nextjs = &cfg->backend[CONFIG_NEXTJS];
	const struct backend *controller = &cfg->backend[CONFIG_CONTROLLER];
	int r, first = 0;

	config_print(cfg);
	(void)printf("\nWhat happens:\n");
	print_paths("WebSocket", cfg->novnc_path, controller);
	print_paths("WebSocket", cfg->nextjs_upgrade_path, nextjs);
	(void)printf("any other WebSocket -> 403\n");
	print_paths("request", cfg->controller_path, controller);
	(void)printf("any other request -> %s\n\n", nextjs->url);
	for (size_t i = 0; i < CONFIG_BACKENDS; i++) {
		r = check_backend(cfg, &cfg->backend[i]);
		if (r < 0 && first == 0)
			first = r;
	}
	return first;
}
