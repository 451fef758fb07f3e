/* SPDX-License-Identifier: MIT */
/* Why an exchange cannot go on, in words: for the log, and for the error response. */
#ifndef NOVNC_GATE_FAULT_H
#define NOVNC_GATE_FAULT_H

enum fault_blame {
	FAULT_NOBODY, /* all went well, or the process was told to stop */
	FAULT_CLIENT,
	FAULT_BACKEND,
	FAULT_GATE,   /* this process or this machine */
	FAULT_CONFIG, /* a key that the administrator has to mend */
};

struct fault {
	enum fault_blame blame;
	unsigned status;  /* of the error response, where one can still be sent */
	char reason[512]; /* one sentence without its full stop; "": all went well */
	/* the same for the client, without addresses and files; "": it may read the reason */
	char shown[256];
};

/* Nothing has gone wrong yet. */
void fault_clear(struct fault *f);

/*
 * Sets it. The client does not read the reasons of FAULT_GATE and FAULT_CONFIG. With FAULT_NOBODY the
 * reason says how something ended that was nobody's fault.
 */
void fault_set(struct fault *f, enum fault_blame blame, unsigned status,
	       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Sets the sentence that the client reads in place of the reason. */
void fault_show(struct fault *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
