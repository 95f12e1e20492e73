// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy_place.h"
#include "policy_source.h"

#define MAX_FILE	(4 << 20)

#define BLANKS	" \t\r\n"
#define SIGNS	"{}()=+,"

struct reader {
	const char *at;
	const char *wrong;	/* with what is at "at" */
	const char *word;	/* and the token in which that is */
};

static bool refuse(struct reader *r, const char *at, const char *wrong)
{
	r->word = r->at;
	r->at = at;
	r->wrong = wrong;
	return false;
}

/*
 * libconfuse would put the environment of whoever runs us into the policy; an
 * asterisk it would leave out.
 */
static bool refuse_dollar(struct reader *r, const char *at)
{
	return refuse(r, at, "has a $, and there are no variables");
}

/* To libconfuse what C makes of it, which would silently be another word. */
static bool is_escape(const char *at, char quote)
{
	return quote == '"' && *at == '\\' && !strchr("\"\\", at[1]);
}

static bool take_quoted(struct reader *r)
{
	char quote = *r->at;
	const char *at;

	for (at = r->at + 1; *at && *at != '\n' && *at != quote; at++) {
		if (*at == '$')
			return refuse_dollar(r, at);
		if (is_escape(at, quote))
			return refuse(r, at, "has a \\ that must be written \\\\ in double quotes");
		if (*at == '\\' && at[1] && at[1] != '\n')
			at++;
	}
	if (*at != quote)
		return refuse(r, r->at, "has a quote that is not closed");
	r->at = at + 1;
	return true;
}

static bool take_word(struct reader *r)
{
	const char *at = r->at + strcspn(r->at, BLANKS SIGNS "#\"'$*");

	if (*at == '$')
		return refuse_dollar(r, at);
	if (*at == '*')
		return refuse(r, at, "has a * that does not stand in quotes");
	r->at = at;
	return true;
}

static bool take_token(struct reader *r)
{
	if (*r->at == '"' || *r->at == '\'')
		return take_quoted(r);
	if (!strchr(SIGNS, *r->at))
		return take_word(r);
	r->at += strncmp(r->at, "+=", 2) ? 1 : 2;
	return true;
}

static bool take_comment(struct reader *r)
{
	const char *end = r->at + strcspn(r->at, "\n");

	if (r->at[1] == '*' && *r->at == '/') {
		end = strstr(r->at + 2, "*/");
		if (!end)
			return refuse(r, r->at, "begins a comment that is not closed");
		end += 2;
	}
	r->at = end;
	return true;
}

static bool begins_comment(const char *at)
{
	return *at == '#' || (*at == '/' && (at[1] == '/' || at[1] == '*'));
}

/* What is between two tokens. */
static bool take_space(struct reader *r)
{
	do {
		r->at += strspn(r->at, BLANKS);
	} while (begins_comment(r->at) && take_comment(r));
	return !r->wrong;
}

static const char *split(struct policy_source *s, struct reader *r, size_t size)
{
	while (take_space(r) && *r->at) {
		struct policy_token *t = &s->token[s->tokens++];

		t->text = r->at;
		if (!take_token(r))
			break;
		t->length = r->at - t->text;
	}
	if (!r->wrong && r->at < s->text + size)
		refuse(r, r->at, "has a NUL: it is no text");
	return r->wrong;
}

/* It has no end where one is missing: then that of the line. */
static struct policy_token to_blame(const char *text)
{
	bool quoted = *text == '"' || *text == '\'';
	const char *ends = *text == '"' ? "\n\"" : quoted ? "\n'" :
			   BLANKS SIGNS "\"'";

	text += quoted;
	return (struct policy_token){ text, strcspn(text, ends) };
}

static int read_tokens(struct policy_source *s, size_t size)
{
	struct reader r = { .at = s->text };

	s->token = calloc(size + 1, sizeof(*s->token));
	if (!s->token)
		return -ENOMEM;
	s->wrong = split(s, &r, size);
	if (s->wrong) {
		policy_place(s->text, r.at, &s->line, &s->column);
		s->word = to_blame(r.word);
	}
	return 0;
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

struct policy_source *policy_source_read(const char *path)
{
	struct policy_source *s = calloc(1, sizeof(*s));
	size_t size = 0;
	int err;

	if (!s)
		return NULL;
	s->path = strdup(path);
	s->text = calloc(1, MAX_FILE + 1);
	err = s->path && s->text ? read_file(path, s->text, &size) : -ENOMEM;
	if (!err)
		err = read_tokens(s, size);
	if (err)
		s->wrong = strerror(-err);
	return s;
}

FILE *policy_source_open(const struct policy_source *s, const char *more)
{
	int i, fd = memfd_create("policy", MFD_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w+");

	if (!file) {
		close(fd);
		return NULL;
	}
	for (i = 0; i < s->tokens; i++)
		fprintf(file, "%.*s\n", (int)s->token[i].length,
			s->token[i].text);
	fputs(more, file);
	if (!ferror(file) && !fflush(file) && !fseek(file, 0, SEEK_SET))
		return file;
	fclose(file);
	return NULL;
}

void policy_source_free(struct policy_source *s)
{
	free(s->path);
	free(s->text);
	free(s->token);
	free(s);
}
