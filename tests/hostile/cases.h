/* SPDX-License-Identifier: GPL-2.0-only */
/* Single things that a host did not survive, or not unharmed */
#ifndef CASES_H
#define CASES_H

#include <stdbool.h>
#include <stdio.h>

void cases_print(FILE *to);
bool case_exists(const char *name);
/* 0 if the host was not impressed; otherwise it has said why on stderr */
int case_run(const char *name);

/* In case_reach.c, case_life.c, case_change.c, case_bound.c; 0 or -errno */
int case_strays(void);
int case_no_cid(void);
int case_stopped(void);
int case_listener(void);
int case_close_queued(void);
int case_gave_up(void);
int case_asked_again(void);
int case_huge_credit(void);
int case_small_writes(void);
int case_cid_change(void);
int case_killed(void);
int case_no_memory(void);
int case_long_queue(void);
int case_many_ports(void);
int case_many_resets(void);
int case_many_credit_requests(void);
int case_big_buffers(void);

#endif
