/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LOADER_REASON_H
#define LOADER_REASON_H

/* Why something failed, and what to do about it where that is known. */
const char *reason(int err);

/* Each by itself; NULL if it is not known what to do. */
const char *reason_text(int err);
const char *reason_fix(int err);

#endif
