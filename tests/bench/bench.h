/* SPDX-License-Identifier: MIT */
/* What the programs of the bench agree on. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* RFC 6455's own example: the key is always this one, so nobody here needs SHA-1. */
#define WS_KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define WS_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/* A message of 64 bytes as a browser sends it (masked, with zeros) and as it gets it. */
#define MESSAGE_SIZE 64
#define PING_SIZE    (2 + 4 + MESSAGE_SIZE)
#define PONG_SIZE    (2 + MESSAGE_SIZE)
static const char ping[PING_SIZE] = { (char)0x82, (char)(0x80 | MESSAGE_SIZE) };
static const char pong[PONG_SIZE] = { (char)0x82, MESSAGE_SIZE };

/* A Close with the code 1000, likewise. */
static const char close_up[] = { (char)0x88, (char)0x82, 0, 0, 0, 0, 0x03, (char)0xe8 };
static const char close_down[] = { (char)0x88, 2, 0x03, (char)0xe8 };

#define PAGE_SIZE 1024

/* A frame of 64 KiB as a backend sends it. */
#define FRAME_SIZE 65536
#define FRAME_DOWN (2 + 8 + FRAME_SIZE)

/* Fills a block of whole frames; or with bytes that are no frame (a reserved opcode). */
static inline void frames_fill(char *block, size_t size, bool frames)
{
	static const char head[10] = { (char)0x82, 127, 0, 0, 0, 0, 0, 1 };

	memset(block, 0x03, size);
	for (size_t i = 0; frames && i + FRAME_DOWN <= size; i += FRAME_DOWN)
		memcpy(block + i, head, sizeof(head));
}

/* A chunk of 64 KiB as it is on the wire. */
#define CHUNK_SIZE 65536
#define CHUNK_WIRE (sizeof("10000\r\n\r\n") - 1 + CHUNK_SIZE)

static inline void chunk_fill(char chunk[CHUNK_WIRE])
{
	memset(chunk, 'x', CHUNK_WIRE);
	memcpy(chunk, "10000\r\n", 7);
	memcpy(chunk + CHUNK_WIRE - 2, "\r\n", 2);
}

_Noreturn static inline void fail(const char *what)
{
	(void)fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "unexpected");
	exit(EXIT_FAILURE);
}

/* Listens on a free port of 127.0.0.1, which is put into *port. */
static inline int listen_anywhere(int *port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, 4096) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		fail("listen");
	*port = ntohs(sa.sin_port);
	return fd;
}

static inline void files_max(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		fail("getrlimit");
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		fail("setrlimit");
}
