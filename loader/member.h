/* SPDX-License-Identifier: GPL-2.0-only */
/* What a member of a JSON object says: one that is not there, 0 or "". */
#ifndef LOADER_MEMBER_H
#define LOADER_MEMBER_H

#include <jansson.h>

static inline json_int_t number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static inline const char *string(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name)) ?: "";
}

#endif
