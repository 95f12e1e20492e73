// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/gen_stats.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "qdisc.h"
#include "rtnl.h"

#define KIND	"vsfq"

bool qdisc_is_vsfq(const struct qdisc *q)
{
	return !strcmp(q->kind, KIND);
}

static struct nlmsghdr *qdisc_request(char *buffer, int type, int flags,
				      int ifindex)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct tcmsg *tcm;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	tcm = mnl_nlmsg_put_extra_header(nlh, sizeof(*tcm));
	tcm->tcm_family = AF_UNSPEC;
	tcm->tcm_ifindex = ifindex;
	tcm->tcm_parent = type == RTM_GETQDISC ? 0 : TC_H_ROOT;
	return nlh;
}

static int read_stats(const struct nlattr *attr, void *data)
{
	const struct gnet_stats_basic *basic = mnl_attr_get_payload(attr);
	const struct gnet_stats_queue *queue = mnl_attr_get_payload(attr);
	struct qdisc *q = data;

	switch (mnl_attr_get_type(attr)) {
	case TCA_STATS_BASIC:
		memcpy(&q->bytes, &basic->bytes, sizeof(q->bytes));
		q->packets = basic->packets;
		break;
	case TCA_STATS_PKT64:
		/* After that one, where there have been more than it can tell. */
		memcpy(&q->packets, mnl_attr_get_payload(attr),
		       sizeof(q->packets));
		break;
	case TCA_STATS_QUEUE:
		q->qlen = queue->qlen;
		q->backlog = queue->backlog;
		q->drops = queue->drops;
		break;
	}
	return MNL_CB_OK;
}

static int read_attribute(const struct nlattr *attr, void *data)
{
	struct qdisc *q = data;

	if (mnl_attr_get_type(attr) == TCA_KIND)
		snprintf(q->kind, sizeof(q->kind), "%s",
			 mnl_attr_get_str(attr));
	if (mnl_attr_get_type(attr) == TCA_STATS2)
		mnl_attr_parse_nested(attr, read_stats, q);
	return MNL_CB_OK;
}

static void read_qdisc(const struct nlmsghdr *nlh, struct qdisc *q)
{
	struct tcmsg *tcm = mnl_nlmsg_get_payload(nlh);

	memset(q, 0, sizeof(*q));
	q->ifindex = tcm->tcm_ifindex;
	q->handle = tcm->tcm_handle;
	q->parent = tcm->tcm_parent;
	mnl_attr_parse(nlh, sizeof(*tcm), read_attribute, q);
}

static int root_qdisc(const struct nlmsghdr *nlh, void *data)
{
	struct qdisc one, *q = data;

	read_qdisc(nlh, &one);
	if (one.ifindex == q->ifindex && one.parent == TC_H_ROOT)
		*q = one;
	return MNL_CB_OK;
}

/* "q" is then what "cb" made of it, or of none. */
static int dump_qdiscs(int ifindex, mnl_cb_t cb, struct qdisc *q)
{
	char buffer[RTNL_BUFFER];
	int err;

	do {
		memset(q, 0, sizeof(*q));
		q->ifindex = ifindex;
		err = rtnl_talk(qdisc_request(buffer, RTM_GETQDISC, NLM_F_DUMP,
					      ifindex), cb, q);
	} while (err == -EINTR);
	return err;
}

int qdisc_read(int ifindex, struct qdisc *q)
{
	return dump_qdiscs(ifindex, root_qdisc, q);
}

static int filter_qdisc(const struct nlmsghdr *nlh, void *data)
{
	struct qdisc one, *q = data;

	read_qdisc(nlh, &one);
	if (one.ifindex == q->ifindex && one.parent == TC_H_CLSACT)
		*q = one;
	return MNL_CB_OK;
}

int qdisc_filters(int ifindex, bool *any)
{
	struct qdisc q;
	int err = dump_qdiscs(ifindex, filter_qdisc, &q);

	*any = q.parent == TC_H_CLSACT;
	return err;
}

/*
 * Without a handle the kernel would change a root of the same kind instead of
 * replacing it, and keep the code of an older version: name a new one.
 */
int qdisc_attach(int ifindex)
{
	char buffer[RTNL_BUFFER];
	struct nlmsghdr *nlh;
	struct tcmsg *tcm;
	struct qdisc q;
	int err;

	err = qdisc_read(ifindex, &q);
	if (err)
		return err;
	nlh = qdisc_request(buffer, RTM_NEWQDISC,
			    NLM_F_CREATE | NLM_F_REPLACE, ifindex);
	tcm = mnl_nlmsg_get_payload(nlh);
	if (qdisc_is_vsfq(&q))
		tcm->tcm_handle = q.handle == TC_H_MAKE(1 << 16, 0) ?
				  TC_H_MAKE(2 << 16, 0) :
				  TC_H_MAKE(1 << 16, 0);
	mnl_attr_put_strz(nlh, TCA_KIND, KIND);
	return rtnl_talk(nlh, NULL, NULL);
}

int qdisc_detach(int ifindex)
{
	char buffer[RTNL_BUFFER];

	return rtnl_talk(qdisc_request(buffer, RTM_DELQDISC, 0, ifindex),
			 NULL, NULL);
}
