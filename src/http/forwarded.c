/* SPDX-License-Identifier: MIT */
#include "http/forwarded.h"

#include <ctype.h>

#include "http/authority.h"

#define X_FOR   SLICE("X-Forwarded-For")
#define X_PROTO SLICE("X-Forwarded-Proto")
#define X_HOST  SLICE("X-Forwarded-Host")
#define X_PORT  SLICE("X-Forwarded-Port")
#define RFC7239 SLICE("Forwarded")

/* ---- addresses */

/* "_hidden", in place of an address or a port (RFC 7239 6.3). */
static bool is_obfuscated(struct slice s)
{
	if (s.len < 2 || s.p[0] != '_')
		return false;
	for (size_t i = 1; i < s.len; i++)
		if (!isalnum((unsigned char)s.p[i]) && !memchr("._-", s.p[i], 3))
			return false;
	return true;
}

/* ":80" or ":_hidden". */
static bool is_node_port(struct slice s)
{
	unsigned port;

	return authority_port(s, &port) ||
	       (s.len > 0 && s.p[0] == ':' && is_obfuscated(slice_from(s, 1)));
}

/* An address, and one with a port, as some load balancers write it: 192.0.2.1:80, [2001:db8::1]:80. */
static bool node_address(struct slice node, struct in6_addr *ret)
{
	struct slice host, port;

	if (network_parse_address(node, ret))
		return true;
	return authority_split(node, &host, &port) &&
	       (port.len == 0 || is_node_port(port)) &&
	       (authority_ipv6(host, ret) || network_parse_address(host, ret));
}

/*
 * The elements come from left to right. If an element is a trusted proxy's address, that proxy has written
 * those before it. If not, they may be forged, and are forgotten.
 * Returns true for a trusted proxy.
 */
static bool note_node(struct slice node, struct network_list trusted,
		      struct forwarded *ret)
{
	struct in6_addr address;
	bool known = node_address(node, &address);

	if (known && network_list_contains(trusted, &address)) {
		if (!ret->has_client)
			ret->client = address;
		ret->has_client = true;
		return true;
	}
	ret->has_client = known;
	if (known)
		ret->client = address;
	return false;
}

/* ---- single values */

/* A WebSocket's scheme is that of its handshake: Traefik says "wss". */
static bool proto_parse(struct slice s, enum forwarded_proto *ret)
{
	static const struct slice http[] = { SLICE_INIT("http"), SLICE_INIT("ws") };
	static const struct slice https[] = { SLICE_INIT("https"), SLICE_INIT("wss") };

	if (slice_casein(s, http, 2))
		*ret = FORWARDED_HTTP;
	else if (slice_casein(s, https, 2))
		*ret = FORWARDED_HTTPS;
	else
		return false;
	return true;
}

static bool host_parse(struct slice s, struct forwarded *ret)
{
	struct authority a;

	if (!authority_parse(s, &a))
		return false;
	ret->host = s;
	ret->host_port = a.port;
	return true;
}

/* ---- X-Forwarded-* */

static const char *read_x(const struct http1_head *h, struct network_list trusted,
			  struct forwarded *ret)
{
	const struct field *proto = http1_field(h, X_PROTO);
	const struct field *host = http1_field(h, X_HOST);
	const struct field *port = http1_field(h, X_PORT);
	struct http1_list nodes = { .head = h, .name = X_FOR };
	struct slice node;

	ret->by = FORWARDED_BY_X;
	while (http1_list_next(&nodes, &node))
		(void)note_node(node, trusted, ret);
	if (http1_count(h, X_PROTO) > 1)
		return "more than one X-Forwarded-Proto";
	if (proto && !proto_parse(proto->value, &ret->proto))
		return "malformed X-Forwarded-Proto";
	if (http1_count(h, X_HOST) > 1)
		return "more than one X-Forwarded-Host";
	if (host && !host_parse(host->value, ret))
		return "malformed X-Forwarded-Host";
	if (http1_count(h, X_PORT) > 1)
		return "more than one X-Forwarded-Port";
	if (port && !authority_port_number(port->value, &ret->port))
		return "malformed X-Forwarded-Port";
	return NULL;
}

/* ---- Forwarded, RFC 7239 4: elements with a comma in between, each of pairs with a semicolon */

/* The parameters of an element that mean something here; p is NULL if it has none of that name. */
struct element {
	struct slice node; /* for=; "unknown" if there is none */
	struct slice proto, host;
};

/* Takes a token off *s; "" if there is none. */
static struct slice take_token(struct slice *s)
{
	struct slice token = { s->p, 0 };

	while (token.len < s->len && lines_is_tchar((unsigned char)s->p[token.len]))
		token.len++;
	*s = slice_from(*s, token.len);
	return token;
}

static bool take_value(struct slice *s, struct slice *ret)
{
	*ret = take_token(s);
	return ret->len > 0;
}

/*
 * Takes the inside of a quoted-string off *s, which begins with its first quote. If it has a
 * backslash, it cannot be used: p of *ret is NULL.
 */
static bool take_quoted(struct slice *s, struct slice *ret)
{
	bool escaped = false;

	for (size_t i = 1; i < s->len; i++) {
		if (s->p[i] == '"') {
			*ret = (struct slice){ escaped ? NULL : s->p + 1, i - 1 };
			*s = slice_from(*s, i + 1);
			return true;
		}
		if (s->p[i] == '\\') {
			escaped = true;
			i++;
		}
	}
	return false;
}

/* Takes "name=value" off *s into the element; false if it is malformed, or the second of its name. */
static bool take_pair(struct slice *s, struct element *e)
{
	struct slice name = take_token(s), value, *to;

	if (name.len == 0 || s->len < 2 || s->p[0] != '=')
		return false;
	*s = slice_from(*s, 1);
	if (s->p[0] == '"' ? !take_quoted(s, &value) : !take_value(s, &value))
		return false;
	if (slice_caseeq(name, SLICE("for")))
		to = &e->node;
	else if (slice_caseeq(name, SLICE("proto")))
		to = &e->proto;
	else if (slice_caseeq(name, SLICE("host")))
		to = &e->host;
	else
		return true; /* by=, or a parameter that is not known */
	if (to->p || !value.p)
		return false;
	*to = value;
	return true;
}

/* The value of for= (RFC 7239 6): an address, "unknown", or "_" and a name; each may have a port. */
static bool is_node(struct slice s)
{
	struct slice host, port;
	struct in6_addr address;

	return authority_split(s, &host, &port) &&
	       (port.len == 0 || is_node_port(port)) &&
	       (slice_caseeq(host, SLICE("unknown")) || is_obfuscated(host) ||
		authority_ipv6(host, &address) || network_parse_address(host, &address));
}

/* Takes an element and the comma behind it off *s. Returns 1; 0 for an empty one; -1 if it is malformed. */
static int take_element(struct slice *s, struct element *ret)
{
	int pairs = 0;

	*ret = (struct element){ 0 };
	for (;;) {
		*s = slice_trim(*s);
		if (s->len > 0 && s->p[0] != ';' && s->p[0] != ',') {
			if (!take_pair(s, ret))
				return -1;
			pairs = 1;
			*s = slice_trim(*s);
		}
		if (s->len == 0)
			break;
		if (s->p[0] != ';' && s->p[0] != ',')
			return -1; /* something behind a value */
		*s = slice_from(*s, 1);
		if (s->p[-1] == ',')
			break;
	}
	if (!ret->node.p)
		ret->node = SLICE("unknown");
	return is_node(ret->node) ? pairs : -1;
}

/* For each element of each field: 0, or an error that ends the loop. */
typedef int (*element_callback)(void *userdata, const struct element *e);

/* Returns 0; -EBADMSG if the fields are malformed; or the callback's error. */
static int each_element(const struct http1_head *h, element_callback callback,
			void *userdata)
{
	for (size_t i = 0; i < h->fields; i++) {
		struct slice rest = h->field[i].value;
		struct element e;
		int n, r;

		if (!slice_caseeq(h->field[i].name, RFC7239))
			continue;
		while (rest.len > 0) {
			n = take_element(&rest, &e);
			r = n < 0 ? -EBADMSG : n > 0 ? callback(userdata, &e) : 0;
			if (r < 0)
				return r;
		}
	}
	return 0;
}

struct reading {
	struct network_list trusted;
	struct forwarded *ret;
	size_t elements;
	struct element named; /* the one that names the client */
};

static int read_element(void *userdata, const struct element *e)
{
	struct reading *r = userdata;

	if (!note_node(e->node, r->trusted, r->ret) || r->elements == 0)
		r->named = *e;
	r->elements++;
	return 0;
}

static const char *read_rfc7239(const struct http1_head *h, struct network_list trusted,
				struct forwarded *ret)
{
	struct forwarded f = { .by = FORWARDED_BY_RFC7239,
			       .request_id = ret->request_id };
	struct reading r = { .trusted = trusted, .ret = &f };

	if (each_element(h, read_element, &r) < 0 ||
	    (r.named.proto.p && !proto_parse(r.named.proto, &f.proto)) ||
	    (r.named.host.p && !host_parse(r.named.host, &f)))
		return "malformed Forwarded";
	*ret = f;
	return NULL;
}

/* ---- X-Forwarded-For, as it is passed on */

static int put_element(void *userdata, const struct element *e)
{
	char text[INET6_ADDRSTRLEN];
	struct slice node = e->node;
	struct in6_addr address;

	if (node_address(node, &address)) {
		network_format(&address, text);
		node = slice_str(text);
	}
	return BUF_PUT((struct buf *)userdata, node, SLICE(", "));
}

static int put_x_for(const struct http1_head *h, struct buf *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < h->fields; i++)
		if (slice_caseeq(h->field[i].name, X_FOR) && h->field[i].value.len > 0)
			r = BUF_PUT(out, h->field[i].value, SLICE(", "));
	return r;
}

/* ---- X-Request-Id */

static struct slice read_request_id(const struct http1_head *h)
{
	struct slice id = http1_only(h, SLICE("X-Request-Id"));

	if (id.len > FORWARDED_ID_MAX)
		return SLICE("");
	for (size_t i = 0; i < id.len; i++)
		if (id.p[i] < '!' || id.p[i] > '~')
			return SLICE("");
	return id;
}

/* ---- the functions of forwarded.h */

const char *forwarded_read(const struct http1_head *h, struct network_list trusted,
			   struct forwarded *ret)
{
	*ret = (struct forwarded){ .request_id = read_request_id(h) };
	if (!http1_field(h, X_FOR) && !http1_field(h, X_PROTO) &&
	    !http1_field(h, X_HOST) && !http1_field(h, X_PORT) && http1_field(h, RFC7239))
		return read_rfc7239(h, trusted, ret);
	return read_x(h, trusted, ret);
}

int forwarded_put_for(const struct http1_head *h, enum forwarded_by by, struct buf *out)
{
	switch (by) {
	case FORWARDED_BY_NONE: return 0;
	case FORWARDED_BY_X: return put_x_for(h, out);
	case FORWARDED_BY_RFC7239: break;
	}
	return each_element(h, put_element, out);
}
