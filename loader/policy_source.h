/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The text of a policy file without its comments, line by line where it was:
 * libconfuse 3.3 counts the line of a comment twice.
 */
#ifndef LOADER_POLICY_SOURCE_H
#define LOADER_POLICY_SOURCE_H

/*
 * Returns a descriptor to read what is in the file followed by "more", or -1
 * with the reason, and its line if it has one (else 0).
 */
int policy_source(const char *path, const char *more, int *line,
		  const char **reason);

#endif
