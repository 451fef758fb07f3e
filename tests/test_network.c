/* SPDX-License-Identifier: MIT */
/* network.c: addresses and networks of both families. */
#include "base/network.h"

#include <arpa/inet.h>

#include "testing.h"

static struct in6_addr address(const char *text)
{
	struct slice s = exact_str(text);
	struct in6_addr a;

	ck_assert_msg(network_parse_address(s, &a), "no address: %s", text);
	slice_free(s);
	return a;
}

static struct network network(const char *text)
{
	struct slice s = exact_str(text);
	struct network net;

	ck_assert_msg(network_parse(s, &net) == 0, "no network: %s", text);
	slice_free(s);
	return net;
}

START_TEST(addresses_are_read)
{
	static const struct {
		const char *text, *v6; /* as inet_ntop() writes it */
	} table[] = {
		{ "192.0.2.1", "::ffff:192.0.2.1" },
		{ "0.0.0.0", "::ffff:0.0.0.0" },
		{ "255.255.255.255", "::ffff:255.255.255.255" },
		{ "::ffff:192.0.2.1", "::ffff:192.0.2.1" },
		{ "::FFFF:C000:0201", "::ffff:192.0.2.1" },
		{ "0000:0000:0000:0000:0000:ffff:192.168.100.200",
		  "::ffff:192.168.100.200" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "2001:DB8:0::1", "2001:db8::1" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	};
	char text[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct in6_addr a = address(table[i].text);

		ck_assert_str_eq(inet_ntop(AF_INET6, &a, text, sizeof(text)),
				 table[i].v6);
	}
}
END_TEST

START_TEST(addresses_are_written_as_people_do)
{
	static const char *const table[][2] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "::", "::" },
		{ "::192.0.2.1", "::192.0.2.1" },
		{ "2001:DB8:0:0::1", "2001:db8::1" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	};
	char text[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct in6_addr a = address(table[i][0]);

		network_format(&a, text);
		ck_assert_str_eq(text, table[i][1]);
	}
}
END_TEST

START_TEST(other_texts_are_no_addresses)
{
	static const char *const table[] = {
		"",
		" ",
		"1",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"01.2.3.4",
		"0x7f.0.0.1",
		"2130706433",
		"1.2.3.4 ",
		" 1.2.3.4",
		"1.2.3.4:80",
		"1.2.3.4/32",
		"[::1]",
		"::1/128",
		"fe80::1%eth0",
		":::",
		"1::2::3",
		"::12345",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"::ffff:1.2.3",
		"localhost",
		"unknown",
		"*",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
	};
	struct in6_addr a;
	struct network net;

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice s = exact_str(table[i]);

		ck_assert_msg(!network_parse_address(s, &a), "accepted: %s", table[i]);
		if (!strchr(table[i], '/'))
			ck_assert_msg(network_parse(s, &net) == -EINVAL, "accepted: %s",
				      table[i]);
		slice_free(s);
	}
	ck_assert(!network_parse_address(SLICE("1.2.3.4\0"), &a));
	ck_assert(!network_parse_address(SLICE("::1\0.2"), &a));
	ck_assert(!network_parse_address((struct slice){ NULL, 0 }, &a));
}
END_TEST

START_TEST(networks_are_read)
{
	static const struct {
		const char *text;
		int r;
		unsigned len;
	} table[] = {
		{ "192.0.2.1", 0, 128 },
		{ "192.0.2.1/32", 0, 128 },
		{ "192.0.2.0/24", 0, 120 },
		{ "192.0.2.128/25", 0, 121 },
		{ "10.0.0.0/8", 0, 104 },
		{ "0.0.0.0/0", 0, 96 },
		{ "::ffff:10.0.0.0/104", 0, 104 },
		{ "::1", 0, 128 },
		{ "2001:db8::/32", 0, 32 },
		{ "2001:db8::8000/113", 0, 113 },
		{ "::/0", 0, 0 },
		{ "192.0.2.1/24", -EDOM, 0 },
		{ "192.0.2.1/31", -EDOM, 0 },
		{ "128.0.0.0/0", -EDOM, 0 },
		{ "2001:db8::1/32", -EDOM, 0 },
		{ "::ffff:10.0.0.0/95", -EDOM, 0 },
		{ "192.0.2.0/33", -EINVAL, 0 },
		{ "192.0.2.0/", -EINVAL, 0 },
		{ "192.0.2.0/ 24", -EINVAL, 0 },
		{ "192.0.2.0/+24", -EINVAL, 0 },
		{ "192.0.2.0/-1", -EINVAL, 0 },
		{ "192.0.2.0/024", -EINVAL, 0 },
		{ "192.0.2.0/00", -EINVAL, 0 },
		{ "192.0.2.0/24/24", -EINVAL, 0 },
		{ "192.0.2.0/255.255.255.0", -EINVAL, 0 },
		{ "192.0.2/24", -EINVAL, 0 },
		{ "2001:db8::/129", -EINVAL, 0 },
		{ "2001:db8::/4294967328", -EINVAL, 0 },
		{ "[2001:db8::]/32", -EINVAL, 0 },
		{ "/", -EINVAL, 0 },
		{ "/8", -EINVAL, 0 },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct slice s = exact_str(table[i].text);
		struct network net = { .len = 99 };

		ck_assert_msg(network_parse(s, &net) == table[i].r, "%s", table[i].text);
		ck_assert_msg(net.len == (table[i].r == 0 ? table[i].len : 99), "%s: %u",
			      table[i].text, net.len);
		slice_free(s);
	}
}
END_TEST

START_TEST(networks_contain_what_has_their_prefix)
{
	static const struct {
		const char *network, *address;
		bool contains;
	} table[] = {
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "::ffff:192.0.2.1", true },
		{ "::ffff:192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.0", false },
		{ "192.0.2.1", "::192.0.2.1", false },
		{ "192.0.2.0/24", "192.0.2.0", true },
		{ "192.0.2.0/24", "192.0.2.255", true },
		{ "192.0.2.0/24", "192.0.3.0", false },
		{ "192.0.2.0/24", "192.0.1.255", false },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.128/25", "192.0.2.128", true },
		{ "0.0.0.0/0", "255.255.255.255", true },
		{ "0.0.0.0/0", "::1", false },
		{ "0.0.0.0/0", "::", false },
		{ "::/0", "::1", true },
		{ "::/0", "ffff::", true },
		{ "::/0", "192.0.2.1", false },
		{ "::/0", "::ffff:192.0.2.1", false },
		{ "::/80", "::ffff:192.0.2.1", false },
		{ "::/80", "::fffe:192.0.2.1", true },
		{ "::1", "::1", true },
		{ "::1", "127.0.0.1", false },
		{ "2001:db8::/32", "2001:db8:ffff::1", true },
		{ "2001:db8::/32", "2001:db9::", false },
		{ "2001:db8::/33", "2001:db8:8000::", false },
		{ "2001:db8::8000/113", "2001:db8::ffff", true },
		{ "2001:db8::8000/113", "2001:db8::7fff", false },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		struct network net = network(table[i].network);
		struct in6_addr a = address(table[i].address);

		ck_assert_msg(network_contains(&net, &a) == table[i].contains, "%s %s",
			      table[i].network, table[i].address);
	}
}
END_TEST

/* Each length, with the first and the last bit that it covers or leaves open. */
START_TEST(each_length_covers_its_bits_only)
{
	for (unsigned len = 0; len <= 128; len++) {
		struct network net = { .len = len };

		for (unsigned bit = 0; bit < 128; bit++) {
			struct in6_addr a = { 0 };

			a.s6_addr[bit / 8] = (uint8_t)(0x80 >> bit % 8);
			ck_assert_msg(network_contains(&net, &a) == (bit >= len),
				      "bit %u of /%u", bit, len);
		}
	}
}
END_TEST

START_TEST(a_list_contains_what_one_of_its_networks_does)
{
	struct network networks[] = { network("192.0.2.0/24"), network("::1") };
	struct network_list list = { networks, LENGTH(networks) }, none = { 0 };
	struct in6_addr v4 = address("192.0.2.7"), v6 = address("::1"),
			other = address("192.0.3.7");

	ck_assert(network_list_contains(list, &v4));
	ck_assert(network_list_contains(list, &v6));
	ck_assert(!network_list_contains(list, &other));
	ck_assert(!network_list_contains(none, &v4));
}
END_TEST

START_TEST(a_list_is_parsed_word_by_word)
{
	static const char *const words[] = { "192.0.2.0/24", "::1", NULL };
	struct in6_addr v4 = address("192.0.2.7"), other = address("::2");
	struct network_list list;

	ck_assert_int_eq(network_list_parse(words, &list), 0);
	ck_assert_uint_eq(list.n, 2);
	ck_assert(network_list_contains(list, &v4));
	ck_assert(!network_list_contains(list, &other));
	network_list_done(&list);
	ck_assert_uint_eq(list.n, 0);
	ck_assert_int_eq(network_list_parse(&words[2], &list), 0);
	ck_assert_uint_eq(list.n, 0);
	network_list_done(&list);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("network");
	TCase *t = tcase_create("network");

	suite_add_tcase(suite, t);
	tcase_add_test(t, addresses_are_read);
	tcase_add_test(t, addresses_are_written_as_people_do);
	tcase_add_test(t, other_texts_are_no_addresses);
	tcase_add_test(t, networks_are_read);
	tcase_add_test(t, networks_contain_what_has_their_prefix);
	tcase_add_test(t, each_length_covers_its_bits_only);
	tcase_add_test(t, a_list_is_parsed_word_by_word);
	tcase_add_test(t, a_list_contains_what_one_of_its_networks_does);
	return suite_run(suite);
}
