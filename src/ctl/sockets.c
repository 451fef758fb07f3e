/* SPDX-License-Identifier: MIT */
#include "ctl/sockets.h"

#include <stddef.h>
#include <stdlib.h>

#include "ctl/memory.h"
#include "ctl/parse.h"

const char *const sockets_umbrellas[] = { "novnc-gate.service", "novnc-gate-tls.service",
					  "novnc-gate-proxy.service", NULL };
static const char *const prefixes[] = { "novnc-gate-http-", "novnc-gate-tls-",
					"novnc-gate-proxy-" };

/* The properties of one socket. */
struct one {
	uint32_t open, limit, accepted, refused;
	char *listen;
};

static const struct {
	const char *name;
	char type;
	size_t offset;
} properties[] = {
	{ "NConnections", 'u', offsetof(struct one, open) },
	{ "MaxConnections", 'u', offsetof(struct one, limit) },
	{ "NAccepted", 'u', offsetof(struct one, accepted) },
	{ "NRefused", 'u', offsetof(struct one, refused) },
	{ "Listen", 'l', offsetof(struct one, listen) },
};

#define PROPERTIES (sizeof(properties) / sizeof(properties[0]))

static void ask(const struct systemd_unit *unit, struct one *ret,
		struct systemd_get gets[static PROPERTIES])
{
	for (size_t i = 0; i < PROPERTIES; i++)
		gets[i] = (struct systemd_get){ unit->path, SYSTEMD_SOCKET,
						properties[i].name, properties[i].type,
						(char *)ret + properties[i].offset };
}

static void add(struct sockets *to, const struct systemd_unit *unit,
		const struct one *one)
{
	to->count = memory_array(to->count, to->n + 1, sizeof(to->count[0]));
	to->count[to->n++] = (struct sockets_count){
		.unit = memory_copy(slice_str(unit->name)),
		.accepted = one->accepted,
		.refused = one->refused,
	};
	to->listening += strcmp(unit->active, "active") == 0;
	to->open += one->open;
	to->limit += one->limit;
	to->accepted += one->accepted;
	to->refused += one->refused;
	if (one->open >= to->fullest) {
		to->fullest = one->open;
		to->fullest_limit = one->limit;
	}
	if (!to->listen && one->listen)
		to->listen = memory_copy(slice_str(one->listen));
}

static struct sockets *kind_of(struct sockets *ret, const char *unit)
{
	for (size_t i = 0; i < SOCKETS_KINDS; i++)
		if (strncmp(unit, prefixes[i], strlen(prefixes[i])) == 0)
			return &ret[i];
	return NULL;
}

static int read_sockets(sd_bus *bus, struct sockets *ret)
{
	static const char *const patterns[] = { "novnc-gate-*.socket", NULL };
	struct systemd_unit *units;
	struct systemd_get *gets;
	struct one *ones;
	int n = systemd_units(bus, patterns, NULL, &units), r;

	if (n < 0)
		return n;
	ones = memory_array(NULL, (size_t)n, sizeof(*ones));
	memset(ones, 0, (size_t)n * sizeof(*ones));
	gets = memory_array(NULL, (size_t)n * PROPERTIES, sizeof(*gets));
	for (int i = 0; i < n; i++)
		ask(&units[i], &ones[i], gets + (size_t)i * PROPERTIES);
	r = systemd_read(bus, gets, (size_t)n * PROPERTIES);
	for (int i = 0; i < n; i++) {
		struct sockets *kind = kind_of(ret, units[i].name);

		if (kind)
			add(kind, &units[i], &ones[i]);
		free(ones[i].listen);
	}
	free(ones);
	free(gets);
	systemd_units_done(units, n);
	return r;
}

int sockets_installed(sd_bus *bus)
{
	char *state = NULL;
	/* systemd loads the unit for it */
	const struct systemd_get get = { SYSTEMD_GATE, SYSTEMD_UNIT, "LoadState", 's',
					 &state };
	int r = systemd_read(bus, &get, 1);

	if (r == 0 && state && strcmp(state, "not-found") == 0)
		r = -ENOPKG;
	free(state);
	return r;
}

int sockets_read(sd_bus *bus, struct sockets ret[static SOCKETS_KINDS])
{
	struct systemd_unit *units;
	int n = systemd_units(bus, sockets_umbrellas, NULL, &units);

	memset(ret, 0, SOCKETS_KINDS * sizeof(*ret));
	for (size_t k = 0; k < SOCKETS_KINDS; k++)
		ret[k].umbrella = sockets_umbrellas[k];
	if (n < 0)
		return n;
	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < SOCKETS_KINDS; k++)
			if (strcmp(units[i].name, sockets_umbrellas[k]) == 0)
				ret[k].active = memory_copy(slice_str(units[i].active));
	systemd_units_done(units, n);
	return read_sockets(bus, ret);
}

void sockets_done(struct sockets list[static SOCKETS_KINDS])
{
	for (size_t i = 0; i < SOCKETS_KINDS; i++) {
		free(list[i].active);
		free(list[i].listen);
		for (size_t k = 0; k < list[i].n; k++)
			free(list[i].count[k].unit);
		free(list[i].count);
	}
	memset(list, 0, SOCKETS_KINDS * sizeof(*list));
}

bool sockets_listen(const struct sockets kinds[static SOCKETS_KINDS])
{
	for (size_t i = 0; i < SOCKETS_KINDS; i++)
		if (kinds[i].listening > 0)
			return true;
	return false;
}

int sockets_address(sd_bus *bus, struct sockets_address *ret)
{
	struct sockets list[SOCKETS_KINDS];
	int r = sockets_read(bus, list);

	*ret = (struct sockets_address){ 0 };
	for (size_t i = 0; i < 2 && !ret->listens;
	     i++) { /* the proxy's are for no browser */
		const char *listen = list[i].listening > 0 ? list[i].listen : NULL;

		ret->tls = i == 1;
		ret->listens = listen &&
			       parse_end((struct slice){ listen, strcspn(listen, " ") },
					 &ret->address, &ret->port);
	}
	sockets_done(list);
	return r;
}
