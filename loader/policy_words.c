// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "policy.h"
#include "policy_words.h"

#define CID_LOCAL	1
#define CID_HOST	2

const struct policy_word policy_directions[] = {
	{ "in", VSFQ_IN }, { "out", VSFQ_OUT }, { }
};

const struct policy_word policy_types[] = {
	{ "stream", POLICY_TYPE_STREAM },
	{ "seqpacket", POLICY_TYPE_SEQPACKET },
	{ "dgram", POLICY_TYPE_DGRAM },
	{ }
};

const struct policy_word policy_verdicts[] = {
	{ "accept", VSFQ_ACCEPT },
	{ "reject", VSFQ_REJECT },
	{ "drop", VSFQ_DROP },
	{ }
};

const struct policy_word policy_verdicts_in[] = {
	{ "accept", VSFQ_ACCEPT },
	{ "reject", VSFQ_REJECT },
	{ }
};

const struct policy_word policy_answers[] = {
	{ "no", false }, { "yes", true }, { }
};

const struct policy_word policy_isolates[] = {
	{ "cgroup", VSFQ_BY_CGROUP },
	{ "uid", VSFQ_BY_UID },
	{ "cid", VSFQ_BY_CID },
	{ "none", VSFQ_BY_NONE },
	{ }
};

const char *policy_read_word(const struct policy_word *words, const char *text,
			     __u32 *value)
{
	static char reason[80];
	const struct policy_word *w;
	int length;

	for (w = words; w->word; w++) {
		if (!strcmp(w->word, text)) {
			*value = w->value;
			return NULL;
		}
	}
	length = snprintf(reason, sizeof(reason), "must be");
	for (w = words; w->word; w++)
		length += snprintf(reason + length, sizeof(reason) - length,
				   "%s %s", w == words ? "" :
				   w[1].word ? "," : " or", w->word);
	return reason;
}

const char *policy_word(const struct policy_word *words, __u32 value)
{
	while (words->word && words->value != value)
		words++;
	return words->word ?: "unknown";
}

/* Decimal digits alone: no sign, no space, no octal. */
static bool read_digits(const char *text, __u64 *value, const char **end)
{
	char *stop;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*value = strtoull(text, &stop, 10);
	*end = stop;
	return !errno;
}

static const char *out_of_bounds(__u64 least, __u64 most)
{
	static char reason[80];

	snprintf(reason, sizeof(reason),
		 "must be a number between %llu and %llu", least, most);
	return reason;
}

static const char *in_bounds(__u64 value, __u64 least, __u64 most)
{
	return value >= least && value <= most ? NULL :
	       out_of_bounds(least, most);
}

const char *policy_read_number(const char *text, __u64 least, __u64 most,
			       __u64 *value)
{
	const char *end;

	if (!read_digits(text, value, &end) || *end)
		return out_of_bounds(least, most);
	return in_bounds(*value, least, most);
}

const char *policy_read_size(const char *text, __u64 least, __u64 most,
			     __u64 *value)
{
	const char *end;
	int shift = 0;

	if (!read_digits(text, value, &end))
		return "is not a number of bytes, or too large a one";
	if (*end == 'K' || *end == 'M')
		shift = *end++ == 'K' ? 10 : 20;
	if (*end)
		return "is not a number of bytes, with K or M or nothing after it";
	if (*value > ~0ULL >> shift)
		*value = ~0ULL >> shift;
	*value <<= shift;
	return in_bounds(*value, least, most);
}

/* How tc writes rates; "bps" are bytes per second, and none means bits. */
static const struct {
	const char *unit;
	__u64 bits;
} rate_units[] = {
	{ "", 1 }, { "bit", 1 }, { "bps", 8 },
	{ "kbit", 1000 }, { "kibit", 1ULL << 10 },
	{ "mbit", 1000000 }, { "mibit", 1ULL << 20 },
	{ "gbit", 1000000000 }, { "gibit", 1ULL << 30 },
	{ "tbit", 1000000000000 }, { "tibit", 1ULL << 40 },
	{ "kbps", 8000 }, { "kibps", 8ULL << 10 },
	{ "mbps", 8000000 }, { "mibps", 8ULL << 20 },
	{ "gbps", 8000000000 }, { "gibps", 8ULL << 30 },
	{ "tbps", 8000000000000 }, { "tibps", 8ULL << 40 },
	{ }
};

const char *policy_read_rate(const char *text, __u64 *bytes)
{
	const char *unit;
	__u64 value;
	int i;

	if (!read_digits(text, &value, &unit))
		return "is not a rate, or too large a one";
	for (i = 0; rate_units[i].unit; i++)
		if (!strcasecmp(rate_units[i].unit, unit))
			break;
	if (!rate_units[i].unit)
		return "is not a rate: a number with bit, kbit, mbit, gbit, "
		       "bps, kbps, mbps, gbps or nothing after it";
	if (__builtin_mul_overflow(value, rate_units[i].bits, &value) ||
	    value / 8 < 1 || value / 8 > VSFQ_MAX_RATE)
		return "must be between 8bit and 8tbit";
	*bytes = value / 8;
	return NULL;
}

/* "any", one number, or two with a dash between them. */
static const char *read_range(const char *text, struct vsfq_range *range)
{
	__u64 first, last;
	const char *end;

	if (!strcmp(text, "any")) {
		range->first = 0;
		range->last = ~0U;
		return NULL;
	}
	if (!read_digits(text, &first, &end))
		return "is neither a number nor a range nor any";
	last = first;
	if (*end == '-' && !read_digits(end + 1, &last, &end))
		return "is neither a number nor a range nor any";
	if (*end)
		return "is neither a number nor a range nor any";
	if (first > ~0U || last > ~0U)
		return "does not fit into 32 bits";
	if (first > last)
		return "is a range whose end is before its beginning";
	range->first = first;
	range->last = last;
	return NULL;
}

const char *policy_read_ports(const char *text, struct vsfq_range *range)
{
	return read_range(text, range);
}

const char *policy_read_cid(const char *text, struct vsfq_range *range)
{
	const char *wrong = NULL;

	if (!strcmp(text, "host"))
		range->first = range->last = CID_HOST;
	else if (!strcmp(text, "local"))
		range->first = range->last = CID_LOCAL;
	else
		wrong = read_range(text, range);
	if (!wrong && range->first == CID_LOCAL && range->last == CID_LOCAL)
		wrong = "is loopback, which has no device: no rule can see it";
	return wrong;
}

const char *policy_read_name(const char *text, char name[VSFQ_NAME_SIZE])
{
	const char *c;

	for (c = text; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_-.@:", *c))
			break;
	if (*c || c == text || *text == '-')
		return "is not a name of letters, digits, _ - . @ and :";
	if (c - text >= VSFQ_NAME_SIZE)
		return "is a name of more than 15 characters";
	/* To the end: names are compared as a whole. */
	memset(name, 0, VSFQ_NAME_SIZE);
	memcpy(name, text, c - text);
	return NULL;
}

const char *policy_read_pattern(const char *text, char name[VSFQ_NAME_SIZE],
				__u32 *length)
{
	size_t size = strlen(text);
	char begins[VSFQ_NAME_SIZE] = "";

	*length = VSFQ_NAME_SIZE;
	if (!size || text[size - 1] != '*')
		return policy_read_name(text, name);
	*length = --size;
	if (size >= VSFQ_NAME_SIZE)
		return "is a name of more than 15 characters";
	memset(name, 0, VSFQ_NAME_SIZE);
	memcpy(begins, text, size);
	return size ? policy_read_name(begins, name) : NULL;
}

/* Parts of a path begin with a slash each. */
static bool has_part(const char *path, const char *part)
{
	size_t length = strlen(part);
	const char *at;

	for (at = path; (at = strstr(at, part)); at++)
		if (!at[length] || at[length] == '/')
			return true;
	return false;
}

/* What names no directory of its own would never match. */
static bool is_clean_path(const char *text)
{
	const char *c;

	if (*text != '/' || has_part(text, "/.") || has_part(text, "/.."))
		return false;
	for (c = text; *c; c++)
		if (iscntrl((unsigned char)*c) || strchr("\"$", *c))
			return false;
	return !text[1] || !has_part(text, "/");
}

const char *policy_read_cgroup(const char *text, struct vsfq_cgroup *cgroup)
{
	const char *c;

	if (!strncmp(text, POLICY_CGROUPS, strlen(POLICY_CGROUPS)) &&
	    has_part(text, POLICY_CGROUPS))
		return "begins with " POLICY_CGROUPS ", which is to be left out";
	if (!is_clean_path(text))
		return "is not a plain path that begins with /";
	if (strlen(text) >= sizeof(cgroup->path))
		return "is a path of more than 239 characters";
	memset(cgroup, 0, sizeof(*cgroup));
	strcpy(cgroup->path, text);
	for (c = text; c[0] && c[1]; c++)
		if (*c == '/')
			cgroup->level++;
	return NULL;
}
