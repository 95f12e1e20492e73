// SPDX-License-Identifier: GPL-2.0-only
#include <expat.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest_file.h"

#define HOST_CID	2	/* it and those below are no guest's */

/* Neither a guest's nor a number: 0. */
static unsigned int parse_cid(const char *text)
{
	unsigned long cid;
	char *end;

	cid = strtoul(text, &end, 10);
	return end == text || *end || cid <= HOST_CID || cid >= UINT_MAX ?
	       0 : cid;
}

static bool complete(const struct guest *guest)
{
	return guest->cid && *guest->name;
}

static void read_line(char *line, struct guest *guest)
{
	char *value = strchr(line, '=');

	if (!value)
		return;
	*value++ = '\0';
	value[strcspn(value, "\n")] = '\0';
	if (!strcmp(line, "NAME"))
		snprintf(guest->name, sizeof(guest->name), "%s", value);
	else if (!strcmp(line, "VSOCK_CID"))
		guest->cid = parse_cid(value);
}

bool guest_read_machine(const char *path, struct guest *guest)
{
	FILE *file = fopen(path, "re");
	char line[512];

	if (!file)
		return false;
	while (fgets(line, sizeof(line), file))
		read_line(line, guest);
	fclose(file);
	return complete(guest);
}

/* Where the parser is, as "/domstatus/domain/name". */
struct domain {
	struct guest *guest;
	char path[256];
	int beyond;		/* elements deeper than the path has room for */
};

static void begin_element(void *data, const char *name,
			  const char **attribute)
{
	struct domain *d = data;
	size_t length = strlen(d->path);

	if (d->beyond || length + strlen(name) + 2 > sizeof(d->path)) {
		d->beyond++;
		return;
	}
	sprintf(d->path + length, "/%s", name);
	if (strcmp(d->path, "/domstatus/domain/devices/vsock/cid"))
		return;
	for (; *attribute; attribute += 2)
		if (!strcmp(attribute[0], "address"))
			d->guest->cid = parse_cid(attribute[1]);
}

static void end_element(void *data, const char *name)
{
	struct domain *d = data;

	if (d->beyond)
		d->beyond--;
	else
		*strrchr(d->path, '/') = '\0';
}

/* Text may come in pieces. */
static void read_text(void *data, const char *text, int length)
{
	struct domain *d = data;
	size_t have = strlen(d->guest->name);

	if (!d->beyond && !strcmp(d->path, "/domstatus/domain/name"))
		snprintf(d->guest->name + have, sizeof(d->guest->name) - have,
			 "%.*s", length, text);
}

/* To the end of the file or to what is not XML. */
static void parse(XML_Parser parser, FILE *file)
{
	char text[4096];
	size_t size;

	do
		size = fread(text, 1, sizeof(text), file);
	while (XML_Parse(parser, text, size, !size) == XML_STATUS_OK && size);
}

bool guest_read_domain(const char *path, struct guest *guest)
{
	FILE *file = fopen(path, "re");
	struct domain domain = { .guest = guest };
	XML_Parser parser;

	if (!file)
		return false;
	parser = XML_ParserCreate(NULL);
	if (parser) {
		XML_SetUserData(parser, &domain);
		XML_SetElementHandler(parser, begin_element, end_element);
		XML_SetCharacterDataHandler(parser, read_text);
		parse(parser, file);
		XML_ParserFree(parser);
	}
	fclose(file);
	return complete(guest);
}
