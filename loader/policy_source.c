// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy_source.h"

#define MAX_FILE	(4 << 20)

enum state { CODE, LINE_COMMENT, COMMENT, QUOTE };

struct cleaner {
	enum state state;
	char quote;		/* which one it is in */
	bool word;		/* in one: a slash does not begin a comment */
	int line;
	int since;		/* the line where the comment began */
};

/* How many of the characters at "at" belong together. */
static int take_code(struct cleaner *c, char *at, const char *end)
{
	char next = at + 1 < end ? at[1] : 0;

	if (*at == '#' || (*at == '/' && next == '/' && !c->word)) {
		c->state = LINE_COMMENT;
		*at = ' ';
	} else if (*at == '/' && next == '*' && !c->word) {
		c->state = COMMENT;
		c->since = c->line;
		at[0] = at[1] = ' ';
		return 2;
	} else if (*at == '"' || *at == '\'') {
		c->state = QUOTE;
		c->quote = *at;
	}
	c->word = c->state == CODE && !strchr(" \t\r\n={}()+,", *at);
	return 1;
}

static int take_comment(struct cleaner *c, char *at, const char *end)
{
	if (*at == '*' && at + 1 < end && at[1] == '/') {
		c->state = CODE;
		at[0] = at[1] = ' ';
		return 2;
	}
	if (*at != '\n')
		*at = ' ';
	return 1;
}

static int take_quoted(struct cleaner *c, char *at, const char *end)
{
	if (*at == '\\' && at + 1 < end && at[1] != '\n')
		return 2;
	if (*at == c->quote)
		c->state = CODE;
	return 1;
}

static int take(struct cleaner *c, char *at, const char *end)
{
	if (*at == '\n') {
		c->line++;
		c->word = false;
		if (c->state == LINE_COMMENT)
			c->state = CODE;
		return 1;
	}
	switch (c->state) {
	case CODE:
		return take_code(c, at, end);
	case QUOTE:
		return take_quoted(c, at, end);
	default:
		return take_comment(c, at, end);
	}
}

/*
 * Returns the line of what has no end, 0 if there is none; or of a dollar sign:
 * libconfuse would put the environment of whoever runs us into the policy; or
 * of an asterisk that it would leave out.
 */
static int clean(char *text, size_t size, const char **reason)
{
	struct cleaner c = { .state = CODE, .line = 1 };
	char *at = text, *end = text + size;

	while (at < end) {
		if (*at == '\n' && c.state == QUOTE)
			break;
		if (*at == '$' && (c.state == CODE || c.state == QUOTE)) {
			*reason = "has a $, and there are no variables";
			return c.line;
		}
		if (*at == '*' && c.state == CODE) {
			*reason = "has a * that does not stand in quotes";
			return c.line;
		}
		at += take(&c, at, end);
	}
	*reason = c.state == QUOTE ? "has a quote that is not closed" :
				     "has a comment that is not closed";
	if (c.state == QUOTE)
		return c.line;
	return c.state == COMMENT ? c.since : 0;
}

static int read_file(const char *path, char *text, size_t *size)
{
	FILE *file = fopen(path, "re");
	struct stat st;
	int err = 0;

	if (!file)
		return -errno;
	/* What is said of a read would be the same, after a longer way. */
	if (fstat(fileno(file), &st) || S_ISDIR(st.st_mode))
		err = -EISDIR;
	else
		*size = fread(text, 1, MAX_FILE, file);
	if (!err && ferror(file))
		err = -EIO;
	if (!err && *size == MAX_FILE)
		err = -EFBIG;
	fclose(file);
	return err;
}

static int write_memory(const char *text, size_t size, const char *more)
{
	int fd = memfd_create("policy", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, text, size) == size && write(fd, "\n", 1) == 1 &&
	    write(fd, more, strlen(more)) == strlen(more) &&
	    !lseek(fd, 0, SEEK_SET))
		return fd;
	close(fd);
	return -ENOMEM;
}

int policy_source(const char *path, const char *more, int *line,
		  const char **reason)
{
	char *text = malloc(MAX_FILE);
	size_t size = 0;
	int ret;

	*line = 0;
	ret = text ? read_file(path, text, &size) : -ENOMEM;
	if (!ret) {
		*line = clean(text, size, reason);
		if (!*line)
			ret = write_memory(text, size, more);
	}
	free(text);
	if (ret < 0)
		*reason = strerror(-ret);
	return *line || ret < 0 ? -1 : ret;
}
