// SPDX-License-Identifier: GPL-2.0-only
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "member.h"
#include "rate.h"

static double per_second(const json_t *now, const json_t *before,
			 const char *name, double seconds)
{
	double change = number(now, name) - number(before, name);

	return change > 0 && seconds > 0 ? change / seconds : 0;
}

static json_t *one_way(const json_t *now, const json_t *before,
		       const char *way, double seconds)
{
	now = json_object_get(now, way);
	before = json_object_get(before, way);
	return json_pack("{s:f, s:f}",
			 "packets", per_second(now, before, "packets", seconds),
			 "bytes", per_second(now, before, "bytes", seconds));
}

/* Half of a device may be missing: then there is nothing to compare. */
static void compare(json_t *now, const json_t *before, double seconds)
{
	if (!json_object_get(now, "sent"))
		return;
	json_object_set_new(now, "per_second", json_pack("{s:o, s:o}",
		"sent", one_way(now, before, "sent", seconds),
		"received", one_way(now, before, "received", seconds)));
}

static const char *device_key(const json_t *device, char *key, size_t size)
{
	snprintf(key, size, "%" JSON_INTEGER_FORMAT, number(device, "ifindex"));
	return key;
}

static const char *class_key(const json_t *class, char *key, size_t size)
{
	return string(class, "name");
}

static const char *flow_key(const json_t *flow, char *key, size_t size)
{
	snprintf(key, size, "%" JSON_INTEGER_FORMAT " %" JSON_INTEGER_FORMAT
		 " %" JSON_INTEGER_FORMAT " %" JSON_INTEGER_FORMAT " %s",
		 number(flow, "local_cid"), number(flow, "local_port"),
		 number(flow, "peer_cid"), number(flow, "peer_port"),
		 string(flow, "type"));
	return key;
}

typedef const char *key_of(const json_t *object, char *key, size_t size);

/* The objects of an array by their keys. */
static json_t *index_of(const json_t *array, key_of *key_of)
{
	json_t *index = json_object(), *object;
	char key[128];
	size_t i;

	json_array_foreach(array, i, object)
		json_object_set(index, key_of(object, key, sizeof(key)),
				object);
	return index;
}

static void compare_each(json_t *now, const json_t *before, key_of *key_of,
			 bool began, double seconds)
{
	json_t *index = index_of(before, key_of), *object, *old;
	char key[128];
	size_t i;

	json_array_foreach(now, i, object) {
		old = json_object_get(index, key_of(object, key, sizeof(key)));
		if (old || began)
			compare(object, old, seconds);
	}
	json_decref(index);
}

static void compare_device(json_t *now, const json_t *before, double seconds)
{
	compare(now, before, seconds);
	compare_each(json_object_get(now, "classes"),
		     json_object_get(before, "classes"), class_key, false,
		     seconds);
	compare_each(json_object_get(now, "flows"),
		     json_object_get(before, "flows"), flow_key, true,
		     seconds);
}

void rate_add(json_t *devices, const json_t *before, double seconds)
{
	json_t *index = index_of(before, device_key), *device, *old;
	char key[128];
	size_t i;

	json_array_foreach(devices, i, device) {
		old = json_object_get(index, device_key(device, key,
							sizeof(key)));
		/* Attached meanwhile, its counters say nothing of the time. */
		if (json_object_get(old, "sent"))
			compare_device(device, old, seconds);
	}
	json_decref(index);
}
