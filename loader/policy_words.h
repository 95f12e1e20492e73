/* SPDX-License-Identifier: GPL-2.0-only */
/* The words of a policy file; the same table reads and writes each. */
#ifndef LOADER_POLICY_WORDS_H
#define LOADER_POLICY_WORDS_H

#include <linux/types.h>
#include <stdbool.h>

#include "../bpf/policy.h"

#define POLICY_TYPE_STREAM	1	/* as in the packet's header */
#define POLICY_TYPE_SEQPACKET	2
#define POLICY_TYPE_DGRAM	3
#define POLICY_ANY_TYPE		0xff	/* as a set of bits */

struct policy_word {
	const char *word;
	__u32 value;
};

/* They end with a word of NULL. */
extern const struct policy_word policy_directions[];
extern const struct policy_word policy_types[];
extern const struct policy_word policy_verdicts[];
extern const struct policy_word policy_verdicts_in[];	/* but for datagrams */
extern const struct policy_word policy_answers[];
extern const struct policy_word policy_isolates[];

/* Functions that read return NULL, or what is wrong with the text. */
const char *policy_read_word(const struct policy_word *words, const char *text,
			     __u32 *value);
const char *policy_read_number(const char *text, __u64 least, __u64 most,
			       __u64 *value);
const char *policy_read_size(const char *text, __u64 least, __u64 most,
			     __u64 *value);
/* As tc reads it: bits per second, "bps" after it are bytes. */
const char *policy_read_rate(const char *text, __u64 *bytes);
const char *policy_read_ports(const char *text, struct vsfq_range *range);
const char *policy_read_cid(const char *text, struct vsfq_range *range);
const char *policy_read_name(const char *text, char name[VSFQ_NAME_SIZE]);
/* A name, or the beginning of names with * behind it; "length" of it counts. */
const char *policy_read_pattern(const char *text, char name[VSFQ_NAME_SIZE],
				__u32 *length);
const char *policy_read_cgroup(const char *text, struct vsfq_cgroup *cgroup);

const char *policy_word(const struct policy_word *words, __u32 value);

static inline bool policy_any(const struct vsfq_range *range)
{
	return !range->first && range->last == ~0U;
}

#endif
