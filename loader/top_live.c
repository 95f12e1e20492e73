// SPDX-License-Identifier: GPL-2.0-only
#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <term.h>
#include <time.h>
#include <unistd.h>

#include "delay.h"
#include "reason.h"
#include "stop.h"
#include "top.h"
#include "vsfq.h"

#define NSECS		1000000000LL
#define MIN_LINES	8
#define MIN_COLUMNS	80
#define HEADER		2	/* lines above the items */

static const char help[] =
	"< >: sort by another column  p: pause  h: this line  q: quit";

struct live {
	const char *which;
	struct top_reading before, now;
	enum top_column by;
	bool paused;
	bool help;
	bool left;
};

/* Returns why not, or NULL. */
static const char *open_terminal(SCREEN **screen)
{
	const char *move;
	int err;

	if (setupterm(NULL, STDOUT_FILENO, &err) != OK)
		return "unknown type";
	move = tigetstr("cup");
	if (!move || move == (const char *)-1)
		return "this type cannot move its cursor";
	*screen = newterm(NULL, stdout, stdin);
	if (!*screen)
		return "unknown type";
	if (LINES >= MIN_LINES && COLS >= MIN_COLUMNS)
		return NULL;
	endwin();
	delscreen(*screen);
	return "smaller than 80 columns and 8 lines";
}

static void set_up_terminal(void)
{
	cbreak();
	noecho();
	nodelay(stdscr, true);
	keypad(stdscr, true);
	curs_set(0);
}

/* The flows share the lines that devices and classes leave. */
static size_t flows_per_device(const struct top_reading *reading)
{
	int devices = 0, left = LINES - HEADER - 1;
	size_t i;

	for (i = 0; i < reading->count; i++) {
		left -= reading->item[i].kind != TOP_FLOW;
		devices += reading->item[i].kind == TOP_DEVICE;
	}
	return devices && left > devices ? left / devices : 1;
}

static void draw_header(const struct live *live, int width)
{
	char line[TOP_LINE];

	top_summary(&live->now, &live->before, live->by, line);
	mvaddnstr(0, 0, line, COLS);
	if (live->paused)
		addstr(", paused");
	top_header(width, line);
	mvaddnstr(1, 0, line, COLS);
	mvchgat(1, width + live->by * TOP_CELL, TOP_CELL, A_REVERSE, 0, NULL);
	if (live->help)
		mvaddnstr(LINES - 1, 0, help, COLS);
}

static void draw(const struct live *live)
{
	const struct top_reading *now = &live->now;
	const struct top_item **view = calloc(now->count ?: 1, sizeof(*view));
	int rows = LINES - HEADER - live->help, width;
	char line[TOP_LINE];
	size_t i, count;

	if (!view)
		return;
	count = top_arrange(now, live->by, flows_per_device(now), view);
	width = top_name_width(view, count);
	erase();
	draw_header(live, width);
	for (i = 0; i < count && (int)i < rows; i++) {
		top_line(view[i], width, line);
		mvaddnstr(HEADER + i, 0, line, COLS);
	}
	refresh();
	free(view);
}

static void press(struct live *live, int key)
{
	switch (key) {
	case '>':
	case KEY_RIGHT:
		live->by = (live->by + 1) % TOP_NR_COLUMNS;
		break;
	case '<':
	case KEY_LEFT:
		live->by = (live->by ?: TOP_NR_COLUMNS) - 1;
		break;
	case 'p':
	case ' ':
		live->paused = !live->paused;
		break;
	case 'h':
	case '?':
		live->help = !live->help;
		break;
	case 'q':
		live->left = true;
	}
}

/* Wait for keys until it is time to read again; a terminal may go away. */
static void wait_for_keys(struct live *live, long long until,
			  const sigset_t *signals)
{
	struct pollfd keys = { .fd = STDIN_FILENO, .events = POLLIN };
	struct timespec left;
	long long wait;
	int key;

	while (!live->left && !stopped() && (wait = until - delay_now()) > 0) {
		left.tv_sec = wait / NSECS;
		left.tv_nsec = wait % NSECS;
		if (ppoll(&keys, 1, &left, signals) > 0 &&
		    keys.revents & (POLLHUP | POLLERR))
			live->left = true;
		/* Also after a signal: that the size has changed is a key. */
		while ((key = getch()) != ERR) {
			press(live, key);
			draw(live);
		}
	}
}

static int read_again(struct live *live)
{
	struct top_reading next;
	int err = top_take(live->which, &next);

	if (err)
		return err;
	top_compare(&next, &live->now);
	top_free(&live->before);
	live->before = live->now;
	live->now = next;
	return 0;
}

static int follow(struct live *live, const struct options *opt,
		  const sigset_t *signals)
{
	unsigned int screens = 0;
	int err = 0;

	draw(live);
	while (!err && !live->left && !stopped()) {
		wait_for_keys(live, delay_now() +
			      (long long)(top_delay(opt) * NSECS), signals);
		if (live->left || stopped() || live->paused)
			continue;
		if (opt->count && screens++ == opt->count)
			break;
		err = read_again(live);
		draw(live);
	}
	return err;
}

int top_live(const struct options *opt, const char *which)
{
	struct live live = { .which = which, .by = TOP_COL_SHARE,
			     .help = true };
	const char *why;
	sigset_t signals;
	SCREEN *screen;
	int err;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return complain(opt, "cannot show a display: \"standard %s\" is no terminal (try: vsfq top -b)",
				isatty(STDIN_FILENO) ? "output" : "input");
	err = top_take(which, &live.now);
	if (err)
		return complain(opt, "cannot read the devices: %s",
				reason(err));
	/* There is nothing to compare with yet. */
	live.before.time = live.now.time;
	top_compare(&live.now, &live.before);
	stop_on_signals(&signals);
	why = open_terminal(&screen);
	if (!why) {
		set_up_terminal();
		err = follow(&live, opt, &signals);
		endwin();
		delscreen(screen);
	}
	top_free(&live.before);
	top_free(&live.now);
	if (why)
		return complain(opt, "cannot show a display on \"%s\": %s (try: vsfq top -b)",
				getenv("TERM") ?: "", why);
	return err ? complain(opt, "cannot go on: %s", reason(err)) :
	       EXIT_DONE;
}
