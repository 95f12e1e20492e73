/* SPDX-License-Identifier: GPL-2.0-only */
/* What "doctor" finds: objects in a JSON array, printed when all are there. */
#ifndef LOADER_FINDING_H
#define LOADER_FINDING_H

#include <jansson.h>
#include <stdbool.h>

enum finding_level {
	FINDING_OK,
	FINDING_WARNING,	/* works, but perhaps not as meant */
	FINDING_PROBLEM,	/* does not work */
};

/* Add one; "about" is a device or a part of the machine. */
void finding_add(json_t *findings, enum finding_level level,
		 const char *about, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* What to do about the one that was added last. */
void finding_fix(json_t *findings, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Add that something failed, and what to do about that. */
void finding_error(json_t *findings, enum finding_level level,
		   const char *about, const char *what, int err);

/* One line each. */
void finding_print(const json_t *findings);

bool finding_problems(const json_t *findings);

#endif
