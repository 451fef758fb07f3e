/* SPDX-License-Identifier: MIT */
#include "proxy/route.h"

#include "http/authority.h"
#include "http/fields.h"
#include "http/path.h"
#include "http/upgrade.h"

/* ---- who asked, and for what */

bool route_is_https(const struct verdict *v, const struct client *client)
{
	return v->said.proto == FORWARDED_PROTO_UNKNOWN
		       ? client->tls
		       : v->said.proto == FORWARDED_HTTPS;
}

struct slice route_host(const struct verdict *v)
{
	return v->said.host.len > 0 ? v->said.host : v->host;
}

unsigned route_port(const struct verdict *v, const struct client *client)
{
	unsigned host_port = v->said.host.len > 0 ? v->said.host_port : v->port;

	if (v->said.port > 0)
		return v->said.port;
	if (host_port > 0)
		return host_port;
	return route_is_https(v, client) ? 443 : 80;
}

/* The fields of proxies count if the peer is a trusted one. Returns what is malformed, or NULL. */
static const char *read_forwarded(const struct config *cfg, const struct http1_head *h,
				  const struct client *client, struct forwarded *ret)
{
	struct in6_addr peer;

	if (!network_parse_address(slice_str(client->address), &peer) ||
	    !network_list_contains(cfg->trusted, &peer))
		return NULL;
	return forwarded_read(h, cfg->trusted, ret);
}

/* ---- origins */

static bool any_match(config_list globs, struct slice path, struct slice *star)
{
	for (; *globs; globs++)
		if (path_match(*globs, path, star))
			return true;
	return false;
}

/* Compares host and port. default_port is that of an authority without a port. */
static bool origin_equals(const struct authority *origin, struct slice authority,
			  unsigned default_port)
{
	struct authority a;

	return authority_parse(authority, &a) && slice_caseeq(a.host, origin->host) &&
	       (a.port ? a.port : default_port) == origin->port;
}

/*
 * True for the origin of the request's own host or of the controller. With plain HTTP either
 * scheme is accepted, because a TLS terminator may be in front of the gate. Over TLS, only https is:
 * a man in the middle can serve an http:// page of the same host.
 */
static bool origin_is_ours(const struct config *cfg, const struct client *client,
			   const struct verdict *v, struct slice value)
{
	const struct backend *controller = &cfg->backend[CONFIG_CONTROLLER];
	struct authority origin;
	bool https;

	if (!authority_parse_origin(value, &https, &origin))
		return false;
	if ((https || !route_is_https(v, client)) &&
	    origin_equals(&origin, route_host(v), https ? 443 : 80))
		return true;
	/* a controller with Url=unix:... has port 0, which no origin has */
	return (https || !controller->tls) &&
	       origin_equals(&origin, slice_str(controller->authority), controller->port);
}

static bool origin_listed(const struct config *cfg, struct slice value)
{
	struct authority origin, listed;
	bool https, listed_https;

	for (config_list o = cfg->allowed_origins; *o; o++) {
		if (strcmp(*o, "*") == 0 || slice_caseeq(slice_str(*o), value))
			return true;
		if (authority_parse_origin(value, &https, &origin) &&
		    authority_parse_origin(slice_str(*o), &listed_https, &listed) &&
		    https == listed_https && slice_caseeq(origin.host, listed.host) &&
		    origin.port == listed.port)
			return true;
	}
	return false;
}

/* Prevents cross-site WebSocket hijacking: browsers always send the Origin of the page. */
static bool origin_allowed(const struct config *cfg, const struct http1_head *h,
			   const struct client *client, const struct verdict *v)
{
	const struct field *field = http1_field(h, SLICE("Origin"));

	if (!field)
		return true; /* no browser */
	if (http1_count(h, SLICE("Origin")) > 1)
		return false;
	return origin_listed(cfg, field->value) ||
	       origin_is_ours(cfg, client, v, field->value);
}

/*
 * RewriteOrigin=: true if the controller gets its own Origin in place of the client's. The
 * Origin of an upgrade has been checked. That of a plain request has not: it is replaced only if
 * it is one of ours. Any other is passed on, so that the controller can refuse it.
 */
static bool origin_becomes_own(const struct config *cfg, const struct http1_head *h,
			       const struct client *client, const struct verdict *v)
{
	if (!cfg->rewrite_origin || v->backend != CONFIG_CONTROLLER)
		return false;
	if (v->kind == ROUTE_UPGRADE)
		return true;
	return http1_count(h, SLICE("Origin")) == 1 &&
	       origin_is_ours(cfg, client, v, http1_field(h, SLICE("Origin"))->value);
}

/* ---- the checks; each returns false if it has refused the request, and *v says why */

static bool refuse(struct verdict *v, enum route_kind kind, unsigned status,
		   const char *why)
{
	v->kind = kind;
	v->status = status;
	v->why = why;
	return false;
}

static bool judge_connection(const struct http1_head *h, struct verdict *v)
{
	struct http1_list options = { .head = h, .name = SLICE("Connection") };
	struct slice option;

	while (http1_list_next(&options, &option))
		if (fields_rules(option) & FIELDS_PROTECTED)
			return refuse(v, ROUTE_REFUSED, 400,
				      "Connection names a protected header field");
	return true;
}

static bool judge_host(const struct http1_head *h, struct verdict *v)
{
	const struct field *field = http1_field(h, SLICE("Host"));
	struct authority host;

	if (!field)
		return h->minor == 0 || refuse(v, ROUTE_REFUSED, 400, "Host is missing");
	if (http1_count(h, SLICE("Host")) > 1)
		return refuse(v, ROUTE_REFUSED, 400, "more than one Host");
	if (!authority_parse(field->value, &host))
		return refuse(v, ROUTE_REFUSED, 400, "malformed Host");
	v->host = field->value;
	v->port = host.port;
	return true;
}

static void verdict_set_target(struct verdict *v, struct slice target)
{
	v->target = target;
	v->path = (struct slice){ target.p, slice_find(target, '?') };
	if (v->path.len == 0)
		v->path = SLICE("/"); /* absolute-form may omit it */
}

/*
 * Removes all but one of the slashes that an upgrade's target begins with: noVNC 1.3 puts one
 * in front of its setting `path`, even if that begins with a slash. A backend could take
 * `//host/path` for an authority.
 */
static struct slice one_slash(struct slice target)
{
	while (slice_casestarts(target, SLICE("//")))
		target = slice_from(target, 1);
	return target;
}

/* The forms of RFC 9112 3.2; authority-form belongs to CONNECT, which http1.c refuses. */
static bool judge_target(const struct http1_head *h, struct verdict *v)
{
	struct slice target = h->target, host;
	struct authority authority;
	unsigned default_port;

	if (target.p[0] == '/')
		return true; /* origin-form: route_decide() has set it */
	if (slice_eq(target, SLICE("*")) && slice_eq(h->method, SLICE("OPTIONS"))) {
		verdict_set_target(v, target);
		return true;
	}
	/* absolute-form becomes origin-form, and its authority counts as Host */
	if (!authority_split_url(target, &default_port, &host, &target) ||
	    !authority_parse(host, &authority))
		return refuse(v, ROUTE_REFUSED, 400, "malformed request target");
	if (v->host.len > 0 && !slice_caseeq(host, v->host))
		return refuse(v, ROUTE_REFUSED, 400,
			      "authority of the request target differs from Host");
	if (upgrade_requested(h))
		return refuse(v, ROUTE_REFUSED, 400,
			      "WebSocket upgrade with an absolute-form target");
	v->host = host;
	v->port = authority.port;
	if (target.len == 0 && slice_eq(h->method, SLICE("OPTIONS")))
		target = SLICE("*"); /* RFC 9112 3.2.4 */
	verdict_set_target(v, target);
	return true;
}

static bool judge_upgrade(const struct config *cfg, const struct http1_head *h,
			  const struct client *client, struct verdict *v)
{
	struct slice star;
	const char *why = NULL;
	unsigned status;

	if (any_match(cfg->novnc_path, v->path, &v->session))
		v->backend = CONFIG_CONTROLLER;
	else if (!any_match(cfg->nextjs_upgrade_path, v->path, &star))
		return refuse(v, ROUTE_REFUSED_PATH, 403,
			      "no WebSocket is served on this path");
	if (!origin_allowed(cfg, h, client, v))
		return refuse(v, ROUTE_REFUSED_ORIGIN, 403,
			      "a WebSocket from this Origin is not allowed");
	status = upgrade_refusal(h, &why);
	if (status != 0)
		return refuse(v, ROUTE_REFUSED, status, why);
	v->kind = ROUTE_UPGRADE;
	return true;
}

static bool is_health(const struct config *cfg, const struct http1_head *h,
		      struct slice path)
{
	struct slice star;

	return any_match(cfg->health_path, path, &star) &&
	       (slice_eq(h->method, SLICE("GET")) || slice_eq(h->method, SLICE("HEAD")));
}

void route_decide(const struct config *cfg, const struct http1_head *h,
		  const struct client *client, struct verdict *ret)
{
	bool upgrade = upgrade_requested(h);
	const char *malformed = NULL;

	*ret = (struct verdict){ .kind = ROUTE_PLAIN, .backend = CONFIG_NEXTJS };
	if (h->target.p[0] == '/')
		verdict_set_target(ret, upgrade ? one_slash(h->target) : h->target);
	if (cfg->trusted.n > 0) /* the log has the client of a refused request, too */
		malformed = read_forwarded(cfg, h, client, &ret->said);
	if (!judge_host(h, ret) || !judge_connection(h, ret) || !judge_target(h, ret))
		return;
	if (malformed) {
		(void)refuse(ret, ROUTE_REFUSED, 400, malformed);
		return;
	}
	if (upgrade)
		(void)judge_upgrade(cfg, h, client, ret);
	else if (is_health(cfg, h, ret->path))
		ret->kind = ROUTE_HEALTH;
	else if (any_match(cfg->controller_path, ret->path, &ret->session))
		ret->backend = CONFIG_CONTROLLER;
	ret->own_origin = origin_becomes_own(cfg, h, client, ret);
}

void route_to_https(const struct http1_head *h, struct verdict *v)
{
	bool get = slice_eq(h->method, SLICE("GET"));
	bool has_url = v->host.len > 0 && v->target.p;
	bool redirect = has_url && (get || slice_eq(h->method, SLICE("HEAD")));

	if (!has_url && v->kind != ROUTE_PLAIN && v->kind != ROUTE_HEALTH)
		return; /* refused already; an upgrade that is not has a Host */
	(void)refuse(v, ROUTE_REFUSED, redirect ? 308 : 400,
		     "plain HTTP on the TLS port");
}

struct slice route_root(struct slice target)
{
	return target.len > 0 && target.p[0] != '?' ? SLICE("") : SLICE("/");
}
