/* SPDX-License-Identifier: MIT */
/* pages.c: what is given back is no longer resident and reads as zeros; all around it stays. */
#include "process/pages.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "testing.h"

#define PAGES 8

static size_t page;

/* The number of resident pages among those from start, which is page-aligned. */
static size_t resident(void *start, size_t pages)
{
	unsigned char in_core[64];
	size_t n = 0;

	ck_assert_uint_le(pages, sizeof(in_core));
	ck_assert_int_eq(mincore(start, pages * page, in_core), 0);
	for (size_t i = 0; i < pages; i++)
		n += in_core[i] & 1;
	return n;
}

static char *filled(void)
{
	char *p = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(p, MAP_FAILED);
	memset(p, 'x', PAGES * page);
	ck_assert_uint_eq(resident(p, PAGES), PAGES);
	return p;
}

START_TEST(whole_pages_are_given_back_and_no_byte_beside_them)
{
	const struct {
		size_t start, len, first, end; /* bytes; the pages that go */
	} table[] = {
		{ 0, PAGES * page, 0, PAGES },
		{ 0, page, 0, 1 },
		{ page, 2 * page, 1, 3 },
		{ 1, 2 * page, 1, 2 },
		{ page - 1, page + 2, 1, 2 },
		{ 1, 2 * page - 2, 1, 1 },
		{ 0, page - 1, 0, 0 },
		{ page, 0, 1, 1 },
		{ page + 7, 10, 1, 1 },
		{ page - 1, page + 1, 1, 2 },
		{ 2 * page, 3 * page - 1, 2, 4 },
	};

	for (size_t i = 0; i < LENGTH(table); i++) {
		char *p = filled();

		pages_release(p + table[i].start, table[i].len);
		for (size_t k = 0; k < PAGES; k++) {
			bool gone = k >= table[i].first && k < table[i].end;

			ck_assert_uint_eq(resident(p + k * page, 1), !gone);
			ck_assert_int_eq(p[k * page], gone ? 0 : 'x');
			ck_assert_int_eq(p[(k + 1) * page - 1], gone ? 0 : 'x');
		}
		munmap(p, PAGES * page);
	}
}
END_TEST

/* Uses that much of the stack; returns the lowest whole page of it. */
static __attribute__((noinline)) char *deep(void)
{
	char room[32 * 4096];

	memset(room, 'x', sizeof(room));
	__asm__ volatile("" : : "r"(room) : "memory");
	return (char *)(((uintptr_t)room + page - 1) / page * page);
}

START_TEST(the_stack_below_is_given_back_and_what_is_in_use_stays)
{
	char here[3 * 4096], *below;

	memset(here, 'y', sizeof(here));
	below = deep();
	ck_assert_uint_eq(resident(below, 16), 16);
	pages_release_stack();
	ck_assert_uint_eq(resident(below, 16), 0);
	for (size_t i = 0; i < sizeof(here); i++)
		ck_assert_int_eq(here[i], 'y');
	ck_assert_ptr_eq(deep(), below);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pages");
	TCase *t = tcase_create("pages");

	page = (size_t)getpagesize();
	suite_add_tcase(s, t);
	tcase_add_test(t, whole_pages_are_given_back_and_no_byte_beside_them);
	tcase_add_test(t, the_stack_below_is_given_back_and_what_is_in_use_stays);
	return suite_run(s);
}
