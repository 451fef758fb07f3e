/* SPDX-License-Identifier: MIT */
#include "base/network.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define V4_BITS     32
#define V6_BITS     128
#define MAPPED_BITS (V6_BITS - V4_BITS) /* of ::ffff:0:0/96 */

bool network_parse_address(struct slice s, struct in6_addr *ret)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr v6 = { 0 };

	if (s.len >= sizeof(text) || slice_find(s, '\0') < s.len)
		return false;
	if (s.len > 0)
		memcpy(text, s.p, s.len);
	text[s.len] = '\0';
	if (inet_pton(AF_INET, text, &v6.s6_addr[MAPPED_BITS / 8]) == 1)
		memset(&v6.s6_addr[10], 0xff, 2);
	else if (inet_pton(AF_INET6, text, &v6) != 1)
		return false;
	*ret = v6;
	return true;
}

void network_format(const struct in6_addr *address, char ret[static INET6_ADDRSTRLEN])
{
	bool v4 = IN6_IS_ADDR_V4MAPPED(address);

	(void)inet_ntop(v4 ? AF_INET : AF_INET6,
			&address->s6_addr[v4 ? MAPPED_BITS / 8 : 0], ret,
			INET6_ADDRSTRLEN); /* fits */
}

/* Without a leading zero. */
static bool length_parse(struct slice s, unsigned max, unsigned *ret)
{
	uint64_t length;

	if ((s.len > 1 && s.p[0] == '0') || !slice_number(s, max, &length))
		return false;
	*ret = (unsigned)length;
	return true;
}

/* The address with the bits behind the first len set to 0. */
static struct in6_addr masked(struct in6_addr a, unsigned len)
{
	for (unsigned i = 0; i < sizeof(a.s6_addr); i++) {
		unsigned kept = len > i * 8 ? len - i * 8 : 0;

		if (kept < 8)
			a.s6_addr[i] &= (uint8_t)(0xff00 >> kept);
	}
	return a;
}

static bool same(const struct in6_addr *a, const struct in6_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int network_parse(struct slice s, struct network *ret)
{
	struct slice address = { s.p, slice_find(s, '/') };
	bool v4 = slice_find(address, ':') == address.len;
	struct network net = { .len = V6_BITS };
	struct in6_addr prefix;

	if (!network_parse_address(address, &net.prefix))
		return -EINVAL;
	if (address.len < s.len) {
		if (!length_parse(slice_from(s, address.len + 1), v4 ? V4_BITS : V6_BITS,
				  &net.len))
			return -EINVAL;
		net.len += v4 ? MAPPED_BITS : 0;
	}
	prefix = masked(net.prefix, net.len);
	if (!same(&prefix, &net.prefix))
		return -EDOM;
	*ret = net;
	return 0;
}

bool network_contains(const struct network *net, const struct in6_addr *address)
{
	struct in6_addr prefix = masked(*address, net->len);

	if (IN6_IS_ADDR_V4MAPPED(address) && net->len < MAPPED_BITS)
		return false;
	return same(&prefix, &net->prefix);
}

bool network_list_contains(struct network_list list, const struct in6_addr *address)
{
	for (size_t i = 0; i < list.n; i++)
		if (network_contains(&list.networks[i], address))
			return true;
	return false;
}

int network_list_parse(const char *const words[], struct network_list *ret)
{
	struct network *networks;
	size_t n = 0;

	while (words[n])
		n++;
	*ret = (struct network_list){ 0 };
	if (n == 0)
		return 0;
	networks = malloc(n * sizeof(*networks));
	if (!networks)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int r = network_parse(slice_str(words[i]), &networks[i]);

		assert(r == 0);
	}
	*ret = (struct network_list){ networks, n };
	return 0;
}

void network_list_done(struct network_list *list)
{
	free((void *)list->networks);
	*list = (struct network_list){ 0 };
}
