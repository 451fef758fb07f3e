/* SPDX-License-Identifier: MIT */
#include "ctl/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "ctl/memory.h"
#include "ctl/systemd.h"

const char *const gate_level_names[GATE_LEVELS] = {
	[GATE_GOOD] = "good",
	[GATE_NOTE] = "note",
	[GATE_WARNING] = "warning",
	[GATE_ERROR] = "error",
};

/* ---- what it prints */

void gate_report_add(struct gate_report *r, enum gate_level level, const char *subject,
		     const char *text, const char *hint)
{
	r->result = memory_array(r->result, r->n + 1, sizeof(r->result[0]));
	r->result[r->n++] = (struct gate_result){
		.level = level,
		.subject = memory_copy(slice_str(subject)),
		.text = memory_copy(slice_str(text)),
		.hint = memory_copy(slice_str(hint)),
	};
}

/* "good<tab>SUBJECT<tab>TEXT<tab>HINT"; the line is changed. */
static void result_parse(char *line, struct gate_report *ret)
{
	const char *level = strsep(&line, "\t"), *subject = strsep(&line, "\t");
	const char *text = strsep(&line, "\t"), *hint = strsep(&line, "\t");

	for (enum gate_level i = 0; hint && i < GATE_LEVELS; i++)
		if (strcmp(level, gate_level_names[i]) == 0)
			gate_report_add(ret, i, subject, text, hint);
}

/* "certificate<tab>SECONDS<tab>HOSTS" */
static void certificate_parse(char *line, struct gate_report *ret)
{
	char *end;

	(void)strsep(&line, "\t");
	errno = 0;
	ret->certificate_until = strtoll(line, &end, 10);
	if (errno != 0 || end == line || *end != '\t')
		return;
	free(ret->certificate);
	ret->certificate = memory_copy(slice_str(end + 1));
}

void gate_report_parse(const char *output, struct gate_report *ret)
{
	char *copy = memory_copy(slice_str(output)), *rest = copy, *line;
	size_t room = strlen(output) + 1, used = 0;
	bool in_settings = false;

	*ret = (struct gate_report){ .settings = memory_array(NULL, room, 1) };
	ret->settings[0] = '\0';
	while ((line = strsep(&rest, "\n"))) {
		if (strcmp(line, in_settings ? "end of settings" : "settings") == 0)
			in_settings = !in_settings;
		else if (in_settings)
			used += (size_t)snprintf(ret->settings + used, room - used,
						 rest ? "%s\n" : "%s", line);
		else if (strncmp(line, "certificate\t", strlen("certificate\t")) == 0)
			certificate_parse(line, ret);
		else
			result_parse(line, ret);
	}
	free(copy);
}

void gate_report_done(struct gate_report *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->result[i].subject);
		free(r->result[i].text);
		free(r->result[i].hint);
	}
	free(r->result);
	free(r->settings);
	free(r->certificate);
	*r = (struct gate_report){ 0 };
}

/* ---- files */

int gate_path(const char *relative, char *room)
{
	char own[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);

	if (len < 0)
		return -errno;
	own[len] = '\0';
	*strrchr(own, '/') = '\0';
	return snprintf(room, PATH_MAX, "%s/%s", own, relative) < PATH_MAX
		       ? 0
		       : -ENAMETOOLONG;
}

/* False: the user's service manager knows no such program. */
static bool users_program(char *room)
{
	char *path = NULL;
	const struct systemd_get get = { SYSTEMD_GATE, SYSTEMD_SERVICE, "ExecStart", 'x',
					 &path };
	sd_bus *bus = NULL;
	const char *name;
	bool found;

	if (systemd_open(true, &bus) == 0)
		(void)systemd_read(bus, &get, 1);
	sd_bus_flush_close_unref(bus);
	name = path ? strrchr(path, '/') : NULL;
	found = name && strcmp(name, "/novnc-gate") == 0 &&
		snprintf(room, PATH_MAX, "%s", path) < PATH_MAX;
	free(path);
	return found;
}

/* novnc-gatectl is in bin, novnc-gate in sbin or, where everything is in one directory, beside it. */
int gate_program(const struct ctl *o, char *room)
{
	static const char *const places[] = { "../sbin/novnc-gate", "novnc-gate" };

	if (o->user && users_program(room))
		return 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (gate_path(places[i], room) == 0 && access(room, X_OK) == 0)
			return 0;
	return -ENOENT;
}

const char *gate_config(const struct ctl *o, char *room)
{
	const char *home = getenv("HOME");

	if (o->config)
		return o->config;
	if (!o->user || !home)
		return NOVNC_GATE_CONF;
	(void)snprintf(room, PATH_MAX, "%s/.config/novnc-gate.conf", home);
	return room;
}

/* ---- running it */

/* Starts it with standard output in `to`. Returns 0 or -errno. */
static int start(const struct ctl *o, const char *what, const char *program, int to,
		 pid_t *ret)
{
	/* /etc/novnc-gate, which has the credentials that the units pass to connections */
	char *directory =
		memory_print("%.*s", (int)(strlen(NOVNC_GATE_CONF) - strlen(".conf")),
			     NOVNC_GATE_CONF);
	char *key = memory_print("%s/tls.key", directory), *config = NULL;
	char room[PATH_MAX];
	const char *arguments[6] = { program, what };
	posix_spawn_file_actions_t actions;
	size_t n = 2;
	int r;

	/* without --config=, the file is that of the service, whose user has to be able to read it */
	if (o->config || o->user)
		arguments[n++] = config =
			memory_print("--config=%s", gate_config(o, room));
	if (!o->user && access(key, R_OK) == 0) {
		(void)setenv("CREDENTIALS_DIRECTORY", directory, true);
		arguments[n++] = "--tls";
	}
	(void)posix_spawn_file_actions_init(&actions); /* these fail without memory */
	(void)posix_spawn_file_actions_adddup2(&actions, to, STDOUT_FILENO);
	r = posix_spawn(ret, program, &actions, NULL, (char **)arguments, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	free(directory);
	free(key);
	free(config);
	return -r;
}

/* Closes the descriptor. */
static char *read_all(int fd)
{
	FILE *f = fdopen(fd, "r");
	char *text = NULL;
	size_t room = 0;

	if (!f || getdelim(&text, &room, '\0', f) < 0) {
		free(text);
		text = memory_copy(SLICE("")); /* as if it had printed nothing */
	}
	(void)(f ? fclose(f) : close(fd));
	return text;
}

int gate_check(const struct ctl *o, const char *what, struct gate_report *ret)
{
	char program[PATH_MAX], *output;
	int ends[2], status, r = gate_program(o, program);
	pid_t child;

	*ret = (struct gate_report){ 0 };
	if (r < 0)
		return r;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	r = start(o, what, program, ends[1], &child);
	(void)close(ends[1]);
	output = read_all(ends[0]);
	gate_report_parse(output, ret);
	free(output);
	if (r == 0 && waitpid(child, &status, 0) < 0)
		r = -errno;
	if (r < 0)
		return r;
	ret->code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
	if (WIFSIGNALED(status)) {
		gate_report_add(ret, GATE_ERROR, "check",
				"novnc-gate was ended by a signal",
				strsignal(WTERMSIG(status)));
	} else if (ret->code != 0 && ret->n == 0) { /* such as a script or the loader */
		gate_report_add(ret, GATE_ERROR, "check",
				"novnc-gate could not check and printed nothing", "");
		ret->code = GATE_NOT_READY;
	}
	return 0;
}
