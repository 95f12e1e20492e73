/* SPDX-License-Identifier: GPL-2.0-only */
/* Why libconfuse may have found no sense in a token, by what is around it. */
#ifndef LOADER_POLICY_HINT_H
#define LOADER_POLICY_HINT_H

struct policy_source;

/* In the place of what it said of the token; NULL if that has to do. */
const char *policy_hint(const struct policy_source *s, int token,
			const char *said);

#endif
