// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"
#include "metrics.h"
#include "reason.h"
#include "report.h"
#include "vsfq.h"

#define NAME	"vsfq.prom"

static int write_text(int fd, const char *text)
{
	size_t left = strlen(text);
	ssize_t n;

	while (left) {
		n = write(fd, text, left);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			left -= n;
		}
	}
	return 0;
}

/* mkostemp() made it for its owner alone; the collector is someone else. */
static int fill_and_rename(int fd, const char *text, const char *from,
			   const char *to)
{
	int err = write_text(fd, text);

	if (!err && (fchmod(fd, 0644) || rename(from, to)))
		err = -errno;
	return err;
}

/*
 * Who reads the directory finds the old file or the new one, and nothing else:
 * the collector takes no name that does not end in ".prom".
 */
static int write_file(const char *path, const char *text)
{
	char temporary[PATH_MAX];
	int fd, err;

	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >=
	    sizeof(temporary))
		return -ENAMETOOLONG;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = fill_and_rename(fd, text, temporary, path);
	if (err)
		unlink(temporary);
	close(fd);
	return err;
}

static int write_metrics(const struct options *opt, const char *text)
{
	char path[PATH_MAX];
	int err;

	if (!opt->textfile) {
		err = write_text(STDOUT_FILENO, text);
		snprintf(path, sizeof(path), "standard output");
	} else if (snprintf(path, sizeof(path), "%s/" NAME, opt->textfile) >=
		   sizeof(path)) {
		err = -ENAMETOOLONG;
	} else {
		err = write_file(path, text);
	}
	return err ? complain(opt, "cannot write \"%s\": %s", path,
			      strerror(-err)) : EXIT_DONE;
}

/* The caller frees it. */
static char *text_of(const json_t *report)
{
	FILE *file;
	size_t size;
	char *text;

	file = open_memstream(&text, &size);
	metrics_text(report, file);
	fclose(file);
	return text;
}

/* No device is no error here: guests come and go. */
int command_metrics(const struct options *opt, char **arguments)
{
	static struct devices list;
	json_t *report;
	char *text;
	int err, ret;

	err = devices_list(&list) ?: report_devices(&list, false, &report);
	if (err)
		return complain(opt, "cannot read the devices: %s",
				reason(err));
	text = text_of(report);
	ret = write_metrics(opt, text);
	free(text);
	json_decref(report);
	return ret;
}
