/* SPDX-License-Identifier: MIT */
#include "proxy/rewrite.h"

#include <ctype.h>

#include "http/authority.h"
#include "http/fields.h"

static int put_field(struct buf *out, struct slice name, struct slice value)
{
	return BUF_PUT(out, name, SLICE(": "), value, SLICE("\r\n"));
}

/* The fields that the sender names in Connection (RFC 9110 7.6.1). */
struct options {
	struct slice name[REWRITE_OPTIONS_MAX];
	size_t n;
};

/* Collects the Connection options. Returns 0, or -E2BIG if there are too many. */
static int options_collect(const struct http1_head *h, struct options *ret)
{
	struct http1_list options = { .head = h, .name = SLICE("Connection") };
	struct slice option;

	ret->n = 0;
	while (http1_list_next(&options, &option)) {
		if (ret->n == REWRITE_OPTIONS_MAX)
			return -E2BIG;
		ret->name[ret->n++] = option;
	}
	return 0;
}

/* True for a field with one of these rules, and for one that Connection names. */
static bool is_left_out(struct slice name, unsigned rules, const struct options *o)
{
	return (fields_rules(name) & rules) != 0 || slice_casein(name, o->name, o->n);
}

static int put_number_field(struct buf *out, struct slice name, uint64_t n)
{
	int r = BUF_PUT(out, name, SLICE(": "));

	if (r == 0)
		r = buf_put_number(out, n, 10);
	return r == 0 ? BUF_PUT(out, SLICE("\r\n")) : r;
}

/* The peer's own address follows those that a trusted proxy has named. */
static int put_for(const struct http1_head *h, const struct verdict *v,
		   const struct client *client, struct buf *out)
{
	int r = BUF_PUT(out, SLICE("X-Forwarded-For: "));

	if (r == 0 && v->said.by != FORWARDED_BY_NONE)
		r = forwarded_put_for(h, v->said.by, out);
	return r == 0 ? BUF_PUT(out, slice_str(client->address), SLICE("\r\n")) : r;
}

static int put_forwarded(const struct http1_head *h, const struct verdict *v,
			 const struct client *client, struct buf *out)
{
	bool https = route_is_https(v, client);
	struct slice host = route_host(v);
	int r = put_field(out, SLICE("X-Forwarded-Proto"),
			  https ? SLICE("https") : SLICE("http"));

	if (r == 0 && client->subject)
		r = put_field(out, SLICE("X-Client-Cert-Subject"),
			      slice_str(client->subject));
	if (r == 0 && client->address[0])
		r = put_for(h, v, client, out);
	if (r == 0 && host.len > 0)
		r = put_field(out, SLICE("X-Forwarded-Host"), host);
	if (r == 0) /* without it, Next.js would use its own port */
		r = put_number_field(out, SLICE("X-Forwarded-Port"),
				     route_port(v, client));
	if (r == 0 && v->user.len > 0)
		r = put_field(out, SLICE("X-Forwarded-User"), v->user);
	return r;
}

static int put_framing(struct buf *out, enum http1_framing framing, uint64_t length)
{
	if (framing == HTTP1_CHUNKED)
		return put_field(out, SLICE("Transfer-Encoding"), SLICE("chunked"));
	if (framing == HTTP1_LENGTH)
		return put_number_field(out, SLICE("Content-Length"), length);
	return 0;
}

static int put_upgrade(struct buf *out)
{
	return BUF_PUT(out, SLICE("Connection: Upgrade\r\nUpgrade: websocket\r\n"));
}

int rewrite_request(const struct http1_head *h, const struct verdict *v,
		    const struct backend *be, const struct client *client,
		    struct buf *out)
{
	bool keeps_host = v->backend == CONFIG_NEXTJS && v->host.len > 0;
	struct options o;
	int r = options_collect(h, &o);

	if (r == 0)
		r = BUF_PUT(out, h->method, SLICE(" "), route_root(v->target), v->target,
			    SLICE(" HTTP/1.1\r\nHost: "),
			    keeps_host ? v->host : slice_str(be->authority),
			    SLICE("\r\n"));
	for (size_t i = 0; r == 0 && i < h->fields; i++) {
		const struct field *f = &h->field[i];

		if (is_left_out(f->name, FIELDS_HOP_BY_HOP | FIELDS_RESERVED, &o) ||
		    (h->minor == 0 && slice_caseeq(f->name, SLICE("Expect"))))
			continue;
		if (v->own_origin && slice_caseeq(f->name, SLICE("Origin")))
			r = BUF_PUT(out, SLICE("Origin: "),
				    be->tls ? SLICE("https://") : SLICE("http://"),
				    slice_str(be->authority), SLICE("\r\n"));
		else
			r = put_field(out, f->name, f->value);
	}
	if (r == 0)
		r = put_forwarded(h, v, client, out);
	if (r == 0)
		r = buf_put_slice(out, v->id_line);
	if (r == 0)
		r = v->kind == ROUTE_UPGRADE ? put_upgrade(out)
					     : put_framing(out, h->framing, h->length);
	return r == 0 ? BUF_PUT(out, SLICE("\r\n")) : r;
}

int rewrite_authorization(const struct http1_head *h, const struct verdict *v,
			  const struct backend *be, const struct client *client,
			  const char *path, struct buf *out)
{
	static const struct slice credentials[] = { SLICE_INIT("Cookie"),
						    SLICE_INIT("Authorization") };
	int r = BUF_PUT(out, SLICE("GET "), slice_str(path), SLICE(" HTTP/1.1\r\nHost: "),
			v->host.len > 0 ? v->host : slice_str(be->authority),
			SLICE("\r\n"));

	for (size_t i = 0; r == 0 && i < h->fields; i++)
		if (slice_casein(h->field[i].name, credentials, 2))
			r = put_field(out, h->field[i].name, h->field[i].value);
	if (r == 0)
		r = put_forwarded(h, v, client, out);
	if (r == 0)
		r = BUF_PUT(out, SLICE("X-Forwarded-Method: "), h->method,
			    SLICE("\r\nX-Forwarded-Uri: "), route_root(v->target),
			    v->target, SLICE("\r\n"));
	if (r == 0 && v->session.len > 0)
		r = put_field(out, SLICE("X-Novnc-Session"), v->session);
	if (r == 0)
		r = buf_put_slice(out, v->id_line);
	return r == 0 ? BUF_PUT(out, SLICE("\r\n")) : r;
}

/* ---- URLs in a response that would lead the browser past the gate to the backend */

/* Next.js writes "localhost" into URLs when it listens on 127.0.0.1 or ::1. */
static bool is_this_machine(struct slice host)
{
	static const struct slice names[] = {
		SLICE_INIT("localhost"), SLICE_INIT("127.0.0.1"), SLICE_INIT("[::1]"),
		SLICE_INIT("0.0.0.0"),   SLICE_INIT("[::]"),
	};

	for (size_t i = 0; i < COUNT(names); i++)
		if (authority_same_host(host, names[i]))
			return true;
	return false;
}

/* Browsers read "//" and "/\" as the beginning of an authority, and ignore tabs. */
static bool stays_on_host(struct slice path)
{
	return path.len < 2 || path.p[0] != '/' || !memchr("/\\\t", path.p[1], 3);
}

/*
 * True if the URL names that backend and means the same without its scheme and authority. The
 * rest, *ret_path, begins with "/", "?" or "#", or is empty. Either scheme is accepted, because
 * backends take it from X-Forwarded-Proto. A URL without a port has the default port of its own
 * scheme or of the backend's.
 */
static bool url_names_backend(struct slice url, const struct backend *be,
			      struct slice *ret_path)
{
	struct authority named, own;
	struct slice authority;
	unsigned default_port;
	bool same_port;

	if (!be->host[0]) /* a Unix socket has neither host nor port */
		return false;
	if (!authority_split_url(url, &default_port, &authority, ret_path) ||
	    !authority_parse(authority, &named) ||
	    !authority_parse(slice_str(be->authority), &own))
		return false;
	/* own.port is 0 if the URL of the backend has no port */
	same_port = named.port > 0 ? named.port == be->port
				   : be->port == default_port || own.port == 0;
	return same_port && stays_on_host(*ret_path) &&
	       (authority_same_host(named.host, own.host) ||
		(is_this_machine(named.host) && is_this_machine(own.host)));
}

/* [ "url" [ "=" ] ] URL, which may be in quotes. */
static struct slice refresh_url(struct slice s)
{
	struct slice named;

	if (slice_casestarts(s, SLICE("url"))) {
		named = slice_trim(slice_from(s, strlen("url")));
		if (named.len > 0 && named.p[0] == '=')
			s = slice_trim(slice_from(named, 1));
	}
	if (s.len > 0 && (s.p[0] == '"' || s.p[0] == '\'')) {
		char quote = s.p[0];

		s = slice_from(s, 1);
		s.len = slice_find(s, quote);
	}
	return s;
}

/*
 * The URL in a Refresh field; empty if browsers find none. These are the "shared declarative
 * refresh steps" of the HTML standard: a time, a separator, the URL.
 */
static struct slice url_in_refresh(struct slice value)
{
	struct slice s = value;

	while (s.len > 0 && (isdigit((unsigned char)s.p[0]) || s.p[0] == '.'))
		s = slice_from(s, 1);
	if (s.len == value.len || s.len == 0 || !memchr(" \t;,", s.p[0], 4))
		return SLICE("");
	s = slice_trim(s);
	if (s.len > 0 && (s.p[0] == ';' || s.p[0] == ','))
		s = slice_trim(slice_from(s, 1));
	return refresh_url(s);
}

/* ---- responses */

/* A field with a URL in its value; a URL that names the backend becomes a path. */
static int put_url(struct buf *out, const struct field *f, struct slice url,
		   const struct backend *be)
{
	struct slice path, before, after;

	if (!url_names_backend(url, be, &path))
		return put_field(out, f->name, f->value);
	before = (struct slice){ f->value.p, (size_t)(url.p - f->value.p) };
	after = slice_from(f->value, before.len + url.len);
	return BUF_PUT(out, f->name, SLICE(": "), before,
		       path.len > 0 && path.p[0] == '/' ? SLICE("") : SLICE("/"), path,
		       after, SLICE("\r\n"));
}

static int put_response_field(const struct options *o, const struct field *f,
			      const struct rewrite_mode *mode, struct buf *out)
{
	if (is_left_out(f->name, FIELDS_HOP_BY_HOP | FIELDS_PRIVATE, o))
		return 0;
	if (slice_caseeq(f->name, SLICE("Location")) ||
	    slice_caseeq(f->name, SLICE("Content-Location")))
		return put_url(out, f, f->value, mode->from);
	if (slice_caseeq(f->name, SLICE("Refresh")))
		return put_url(out, f, url_in_refresh(f->value), mode->from);
	return put_field(out, f->name, f->value);
}

int rewrite_response(const struct http1_head *h, const struct rewrite_mode *mode,
		     struct buf *out)
{
	bool bodiless = h->status < 200 || h->status == 204;
	/* Content-Length also for HEAD and 304 */
	bool length = !bodiless && http1_field(h, SLICE("Content-Length"));
	enum http1_framing framing = mode->chunked ? HTTP1_CHUNKED
				     : length      ? HTTP1_LENGTH
						   : HTTP1_NO_BODY;
	struct options o;
	int r = options_collect(h, &o);

	if (r == 0)
		r = BUF_PUT(out, SLICE("HTTP/1.1 "));
	if (r == 0)
		r = buf_put_number(out, h->status, 10);
	if (r == 0)
		r = BUF_PUT(out, SLICE(" "), h->reason, SLICE("\r\n"));
	for (size_t i = 0; r == 0 && i < h->fields; i++)
		r = put_response_field(&o, &h->field[i], mode, out);
	if (r == 0 && (h->status >= 200 || h->status == 101)) /* the final response */
		r = buf_put_slice(out, mode->id_line);
	if (r == 0)
		r = put_framing(out, framing, h->length);
	if (r == 0 && h->status == 101)
		r = put_upgrade(out);
	else if (r == 0 && mode->close)
		r = put_field(out, SLICE("Connection"), SLICE("close"));
	return r == 0 ? BUF_PUT(out, SLICE("\r\n")) : r;
}
