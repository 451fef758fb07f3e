/* SPDX-License-Identifier: MIT */
#include "process/pages.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* More stack than any call uses, in bytes. */
#define PAGES_STACK (256 * 1024)
/* Room for our own frame and that of madvise(), bytes; enough with sanitizers as well. */
#define PAGES_FRAME 1024

void pages_release(void *p, size_t len)
{
	uintptr_t page = (uintptr_t)getpagesize();
	uintptr_t start = ((uintptr_t)p + page - 1) / page * page;
	uintptr_t end = ((uintptr_t)p + len) / page * page;

	if (start < end)
		(void)madvise((void *)start, end - start, MADV_DONTNEED);
}

/* Inlined by link-time optimization, it would give back part of the frame of its caller. */
__attribute__((noinline)) void pages_release_stack(void)
{
	char *end = (char *)__builtin_frame_address(0) - PAGES_FRAME;

	/* the stack may not reach so far: madvise() then fails with ENOMEM, but has released the rest */
	pages_release(end - PAGES_STACK, PAGES_STACK);
}
