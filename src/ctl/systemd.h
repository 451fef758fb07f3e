/* SPDX-License-Identifier: MIT */
/* The service manager: units, their properties, and jobs. Functions return -errno on failure. */
#pragma once

#include <systemd/sd-bus.h>

#include "base/buf.h"

struct systemd_unit {
	char *name, *path; /* its name, and the path of its object on the bus */
	char *active;      /* "active", "failed", ... */
};

/*
 * Connects to the service manager of the system or to the user's: directly if it is the caller's own, else
 * through the D-Bus daemon. *ret is NULL before. The caller calls sd_bus_flush_close_unref().
 */
int systemd_open(bool user, sd_bus **ret);

/* How long to wait. */
struct systemd_wait {
	int sigfd; /* ends the wait when it is readable; -1: none */
	uint64_t end_ms;
};

/*
 * Calls call(). If that fails because systemd re-executes itself (systemctl daemon-reexec), which cuts all connections
 * to it for a moment, waits for systemd, half a minute at most, connects again and calls it again, 20 times at most.
 * Returns what it has returned; or, for the end of the wait (NULL: there is none), -ETIMEDOUT or -ECANCELED.
 */
int systemd_again(bool user, sd_bus **bus, const struct systemd_wait *wait,
		  int (*call)(sd_bus *bus, void *userdata), void *userdata);

/* All loaded units with such a name, in the given states (NULL: any). Returns how many. */
int systemd_units(sd_bus *bus, const char *const patterns[], const char *const states[],
		  struct systemd_unit **ret);
void systemd_units_done(struct systemd_unit *units, int n);

/* One property that is to be read. */
struct systemd_get {
	const char *path;
	const char *interface; /* SYSTEMD_UNIT and so on */
	const char *property;
	/*
	 * The type of ret: 's' char **, a copy; 't' uint64_t *; 'u' uint32_t *; 'y' char **, an id as
	 * hexadecimal digits; 'l' char **, where a socket listens, with spaces in between; 'x' char **, the
	 * program of the first command of a service
	 */
	char type;
	void *ret; /* stays as it is if the unit is gone */
};

#define SYSTEMD_PATH    "/org/freedesktop/systemd1" /* of the manager itself */
/* The object of the unit that starts the sockets. */
#define SYSTEMD_GATE    SYSTEMD_PATH "/unit/novnc_2dgate_2eservice"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"
#define SYSTEMD_UNIT    "org.freedesktop.systemd1.Unit"
#define SYSTEMD_SERVICE "org.freedesktop.systemd1.Service"
#define SYSTEMD_SOCKET  "org.freedesktop.systemd1.Socket"

/* Reads n properties, with many requests on their way at the same time. After a failure some may be read. */
int systemd_read(sd_bus *bus, const struct systemd_get *gets, size_t n);

/*
 * Stops units, one after the other, and waits until they have stopped; with a wait of NULL, only until systemd
 * has accepted it. Calls each() with 1 for an active unit, which systemd stops, 0 for one that was not active any more,
 * or -errno, with which it also ends. Returns 0, -ECANCELED or -ETIMEDOUT for the end of the wait, after which
 * systemd may still stop units, or another -errno.
 */
int systemd_stop(sd_bus *bus, const struct systemd_unit *const units[], size_t n,
		 const struct systemd_wait *wait,
		 void (*each)(void *userdata, size_t i, int result), void *userdata);

/* The sentence for an error of one of these functions. Borrowed, until the next call. */
const char *systemd_strerror(int error);
