/* SPDX-License-Identifier: MIT */
#include "ctl/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/file.h"
#include "ctl/memory.h"
#include "ctl/timestamp.h"

#define DIRECTORY "/var/lib/novnc-gate"
#define FILE_NAME "metrics.json"
/* A file of its own, which is not replaced, and which nobody else can open and so lock. */
#define LOCK_NAME "metrics.lock"

const char *counters_directory(void)
{
	const char *directory = getenv("STATE_DIRECTORY");

	return directory && directory[0] ? directory : DIRECTORY;
}

/* The object of that name, which is made if there is none. Borrowed. */
static json_t *part(const struct counters *c, const char *name)
{
	json_t *object = json_object_get(c->root, name);

	if (json_is_object(object))
		return object;
	object = json_object();
	(void)json_object_set_new(c->root, name, object);
	return object;
}

/* ---- the file */

static int file_read(struct counters *c)
{
	int fd = openat(c->directory, FILE_NAME, O_RDONLY | O_CLOEXEC);
	json_error_t error;
	struct stat st;

	if (fd < 0 && errno != ENOENT)
		return -errno;
	if (fd >= 0) {
		if (fstat(fd, &st) == 0)
			c->saved_us = timestamp_us(st.st_mtim);
		c->root = json_loadfd(fd, JSON_REJECT_DUPLICATES, &error);
		(void)close(fd);
	}
	if (fd >= 0 && !json_is_object(c->root))
		(void)fprintf(stderr, "%s is damaged: counting begins again at 0\n",
			      FILE_NAME);
	if (!json_is_object(c->root)) {
		json_decref(c->root);
		c->root = json_object();
	}
	return 0;
}

int counters_open(const char *directory, struct counters *ret)
{
	int r;

	*ret = (struct counters){ .directory = -1, .lock = -1 };
	if (mkdir(directory, 0755) < 0 && errno != EEXIST)
		return -errno;
	ret->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ret->directory < 0)
		return -errno;
	ret->lock =
		openat(ret->directory, LOCK_NAME, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	if (ret->lock < 0)
		return -errno;
	do
		r = flock(ret->lock, LOCK_EX);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : file_read(ret);
}

int counters_save(const struct counters *c)
{
	char *text = json_dumps(c->root, JSON_INDENT(1) | JSON_SORT_KEYS);
	int r = text ? file_replace(c->directory, FILE_NAME, 0644, slice_str(text))
		     : -ENOMEM;

	free(text);
	return r;
}

void counters_done(struct counters *c)
{
	json_decref(c->root);
	json_decref(c->last);
	if (c->directory >= 0)
		(void)close(c->directory);
	if (c->lock >= 0)
		(void)close(c->lock);
	*c = (struct counters){ .directory = -1, .lock = -1 };
}

/* ---- numbers */

static uint64_t number(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n > 0 ? (uint64_t)n : 0;
}

static void set_number(json_t *object, const char *key, uint64_t n)
{
	/* what would not fit stays at the largest number: a counter must not shrink */
	(void)json_object_set_new(
		object, key, json_integer(n < INT64_MAX ? (json_int_t)n : INT64_MAX));
}

void counters_add(struct counters *c, const char *key, uint64_t n)
{
	json_t *counts = part(c, "counters");
	uint64_t sum;

	if (__builtin_add_overflow(number(counts, key), n, &sum))
		sum = UINT64_MAX;
	set_number(counts, key, sum);
}

uint64_t counters_get(const struct counters *c, const char *key)
{
	return number(part(c, "counters"), key);
}

void counters_follow_begin(struct counters *c, bool anew)
{
	json_decref(c->last);
	c->last = anew ? json_object() : json_incref(part(c, "seen"));
	(void)json_object_set_new(c->root, "seen", json_object());
}

void counters_follow(struct counters *c, const char *key, const char *source,
		     uint64_t value)
{
	char *name = memory_print("%s %s", key, source);
	uint64_t last = number(c->last, name);

	counters_add(c, key, value >= last ? value - last : value);
	set_number(part(c, "seen"), name, value);
	free(name);
}

/* ---- texts */

const char *counters_text(const struct counters *c, const char *name)
{
	return json_string_value(json_object_get(c->root, name));
}

void counters_set_text(struct counters *c, const char *name, const char *text)
{
	if (text)
		(void)json_object_set_new(c->root, name, json_string(text));
	else
		(void)json_object_del(c->root, name);
}

/* ---- what has begun */

void counters_begin(struct counters *c, const char *id, uint64_t time_us)
{
	set_number(part(c, "begun"), id, time_us);
}

uint64_t counters_end(struct counters *c, const char *id)
{
	json_t *begun = part(c, "begun");
	uint64_t time_us = number(begun, id);

	(void)json_object_del(begun, id);
	return time_us;
}

void counters_forget(struct counters *c, uint64_t before_us)
{
	json_t *begun = part(c, "begun"), *value;
	const char *id;
	void *next;

	json_object_foreach_safe(begun, next, id, value)
	{
		if ((uint64_t)json_integer_value(value) < before_us)
			(void)json_object_del(begun, id);
	}
}
