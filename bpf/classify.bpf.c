// SPDX-License-Identifier: GPL-2.0-only
/*
 * The classifier: accounts what passes a vsock device in both directions, tells
 * the qdisc the class of what leaves, and refuses what the policy refuses.
 *
 * THE IDEA. One program on tcx egress, one on ingress. Each reads the 44-byte
 * header and adds to three tables of its device: the device, the class and
 * the flow. A flow is a pair of sockets; what it sent and what it received
 * are in one entry, under the addresses as this machine sees them (local,
 * peer). Egress also writes the class into skb->tc_index, where the vsfq
 * qdisc finds it; without this program the qdisc applies the default policy
 * by itself. So it does for what a filter of clsact lets pass with TC_ACT_OK,
 * which puts its own class there.
 *
 * THE POLICY (policy.h) is a list of rules, of which the first that matches
 * decides. It is asked for each connection request and once per flow and
 * direction of datagrams; the flow remembers the answer with the generation of
 * the policy, so that a flood is judged by one comparison per packet, or two if
 * a rule asked whose it is. What is refused has no flow, lest it take the place
 * of what is not: whose datagrams were refused is remembered apart. (It has one
 * if a cap counts that connection.) Only what opens something can be refused:
 * after another policy was applied, a connection is asked about once more to
 * find its class, and stays whatever the answer. What is refused on the way in
 * is a request that the kernel answers with a RST or a datagram that is gone; on
 * the way out it is a request that the kernel tries again until connect() times
 * out, to hear the same each time (request.bpf.h), or a datagram that is gone:
 * to refuse at once is the work of connect.bpf.c, which asks the same rules
 * before there is a packet.
 *
 * EVENTS (event.h) are sent of what is refused and of what a rule with "log"
 * matches, each time that the rules are asked, not for what the flow remembers;
 * of what a cap refuses; and of connections, when one is accepted and when the
 * first side closes it.
 *
 * A cap of connections (connection.bpf.h) refuses requests that the policy
 * accepts, in the same way.
 *
 * WHO OPENED a connection, and so which rules are for it, is known from what
 * leaves: a request or the answer to one, which this machine's kernel makes of
 * nothing else. What arrives may be a lie. A request for a connection that is
 * there says nothing before it is answered, since the kernel ignores it unless
 * the one before had ended unseen; and only who did not ask can answer.
 *
 * AN EXAMPLE. A guest with CID 3 sends one 64 KiB message from port 1024 to
 * port 5000 of its host and gets 64 bytes back. Its table then has one entry
 *
 *	local 3:1024, peer 2:5000, type 1: sent 1 packet, 65,580 bytes, cost
 *	81,964; received 1 packet, 108 bytes, cost 16,492
 *
 * LIMITS. The flow table keeps the VSFQ_FLOW_TABLE flows seen last: beyond
 * that the oldest are forgotten and the sums of class and device stay right.
 * What tc sees of a stream is what asks for its bytes, see vsfq.bpf.c; a
 * request that a qdisc or another program kills is made, and counted, again.
 * A connection of which neither request nor answer was seen counts as opened
 * by whoever sent the first packet that was; so does one that was forgotten,
 * unless it is in the table of those that a cap counts. One whose end nobody saw
 * stays open if another one with its ports is then refused. Who owns a flow is
 * asked when it begins and when it comes back after a second of silence, not for
 * each packet.
 *
 * BY HAND, without the loader:
 *
 *	bpftool prog loadall build/classify.bpf.o /sys/fs/bpf/c \
 *		pinmaps /sys/fs/bpf/c
 *	bpftool net attach tcx_egress pinned /sys/fs/bpf/c/vsfq_egress \
 *		dev virtio-vsock0
 *	bpftool map dump pinned /sys/fs/bpf/c/flows
 */
#include "connection.bpf.h"
#include "credit.bpf.h"
#include "event.bpf.h"
#include "match.bpf.h"
#include "pace.bpf.h"
#include "request.bpf.h"

char _license[] SEC("license") = "GPL";

#define TCX_NEXT		-1	/* also TC_ACT_UNSPEC */
#define TCX_DROP		2	/* also TC_ACT_SHOT */

#define OWNER_NS		1000000000

/* The same as the scheduler's, so that costs can be compared. */
const volatile __u32 overhead = VSFQ_OVERHEAD;
const volatile __u64 build;	/* tells the loader one version from another */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, VSFQ_FLOW_TABLE);
	__type(key, struct vsfq_flow_key);
	__type(value, struct vsfq_flow_stats);
} flows SEC(".maps");

/* Whose datagrams were refused: apart, so that no flow has to make room. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, VSFQ_REFUSED_TABLE);
	__type(key, struct vsfq_flow_key);
	__type(value, struct vsfq_flow_stats);
} refusals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct vsfq_device_stats);
} device SEC(".maps");

static const struct vsfq_flow_stats no_flow;

/* Several CPUs may send at once. */
static __always_inline void count(struct vsfq_stats *stats,
				  struct __sk_buff *skb)
{
	__u64 segs = skb->gso_segs ?: 1;

	__sync_fetch_and_add(&stats->packets, 1);
	__sync_fetch_and_add(&stats->bytes, skb->len);
	__sync_fetch_and_add(&stats->cost, segs * overhead + skb->len);
}

/*
 * A flow that was forgotten meanwhile may be a connection that is counted: then
 * it is known who opened it. Else it is whoever speaks first.
 */
static __always_inline struct vsfq_flow_stats *
flow_new(struct vsfq_flow_key *key, bool egress)
{
	struct vsfq_connection *c = bpf_map_lookup_elem(&connections, key);
	struct vsfq_flow_stats new = { .opened = egress };

	if (c) {
		new.opened = c->opened;
		new.state = c->answered ? VSFQ_FLOW_OPEN : VSFQ_FLOW_NEW;
		new.asked = !c->answered && c->opened == VSFQ_IN;
	}
	bpf_map_update_elem(&flows, key, &new, BPF_NOEXIST);
	return bpf_map_lookup_elem(&flows, key);
}

/* Does this side send it, from a socket? What arrives has no owner to ask. */
static __always_inline bool is_owned(struct __sk_buff *skb, bool egress)
{
	return egress && skb->sk;
}

/*
 * Is the answer that the flow remembers one for this packet? Another socket may
 * have got the port that datagrams come from.
 */
static __always_inline bool still_judged(struct __sk_buff *skb,
					 struct vsfq_policy *p,
					 struct vsfq_flow_stats *stats,
					 __u64 judged, bool datagram,
					 bool egress)
{
	if ((judged & ~VSFQ_JUDGED_MASK) != p->generation)
		return false;
	if (!(judged & VSFQ_JUDGED_OWNER) || !is_owned(skb, egress))
		return true;
	return !(judged & VSFQ_JUDGED_BLIND) &&
	       (!datagram || stats->cgroup == bpf_skb_cgroup_id(skb));
}

/* One store, so that no answer can get another policy's generation. */
static __always_inline void remember(struct __sk_buff *skb,
				     struct vsfq_policy *p,
				     struct vsfq_flow_stats *stats,
				     __u32 direction, __u32 judged, bool egress)
{
	if (judged & VSFQ_JUDGED_OWNER && is_owned(skb, egress))
		stats->cgroup = bpf_skb_cgroup_id(skb);
	else if (judged & VSFQ_JUDGED_OWNER)
		judged |= VSFQ_JUDGED_BLIND;
	stats->judged[direction] = p->generation |
				   (judged & VSFQ_JUDGED_MASK);
}

/* A datagram without a flow: of what is refused none is made. */
static __always_inline __u32 judge_unknown(struct __sk_buff *skb,
					   struct vsfq_policy *p,
					   struct vsfq_device_stats *dev,
					   struct vsfq_flow_key *key,
					   __u32 direction)
{
	struct vsfq_flow_stats *refused = bpf_map_lookup_elem(&refusals, key);
	__u64 judged = refused ? refused->judged[direction] : 0;

	if (refused && still_judged(skb, p, refused, judged, true, direction))
		return judged & VSFQ_JUDGED_MASK;
	judged = match(skb, p, key, direction, dev);
	if (VSFQ_JUDGED_VERDICT(judged) < VSFQ_REJECT)
		return judged;
	if (!refused) {
		bpf_map_update_elem(&refusals, key, &no_flow, BPF_NOEXIST);
		refused = bpf_map_lookup_elem(&refusals, key);
	}
	if (refused)
		remember(skb, p, refused, direction, judged, direction);
	return judged;
}

static __always_inline __u32 judge(struct __sk_buff *skb,
				   struct vsfq_policy *p,
				   struct vsfq_device_stats *dev,
				   struct vsfq_flow_stats *stats,
				   struct vsfq_flow_key *key, bool egress)
{
	bool datagram = vsock_class(key->type) == VSFQ_CLASS_DGRAM;
	__u32 direction = egress;
	__u64 judged;

	if (datagram && !stats)
		return judge_unknown(skb, p, dev, key, direction);
	if (!stats)
		return match(skb, p, key, direction, dev);
	if (!datagram)
		direction = stats->opened % VSFQ_NR_DIRECTIONS;
	judged = stats->judged[direction];
	if (still_judged(skb, p, stats, judged, datagram, egress))
		return judged & VSFQ_JUDGED_MASK;
	judged = match(skb, p, key, direction, dev);
	remember(skb, p, stats, direction, judged, egress);
	return judged;
}

/*
 * Of a connection whose owner is still to be asked, for the other side spoke first
 * since a policy was applied: the class that it had.
 */
static __always_inline __u32 class_of(struct __sk_buff *skb,
				      struct vsfq_flow_stats *stats,
				      __u32 judged, bool connection, bool egress)
{
	bool blind = judged & VSFQ_JUDGED_OWNER && !is_owned(skb, egress);

	return (connection && stats && blind ? stats->class :
		VSFQ_JUDGED_CLASS(judged)) % VSFQ_MAX_CLASSES;
}

/* What connect() was told about the request that this packet is; or NULL. */
static __always_inline struct request *request_of(struct __sk_buff *skb,
						  struct vsfq_device_stats *dev,
						  struct vsfq_flow_key *key)
{
	const __u64 *device = (const __u64 *)dev->name;
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct request *r = bpf_map_lookup_elem(&requests, &cookie);

	if (!r || r->device[0] != device[0] || r->device[1] != device[1] ||
	    r->local_cid != key->local_cid || r->peer_cid != key->peer_cid ||
	    r->peer_port != key->peer_port)
		return NULL;
	return r;
}

/*
 * If another policy has accepted it, "p" is none: the caps of this one are for
 * what it accepts, and count what is there already once it says something.
 */
static __always_inline __u32 judge_request(struct __sk_buff *skb,
					   struct vsfq_policy **p,
					   struct vsfq_device_stats *dev,
					   struct vsfq_flow_key *key,
					   __u32 direction)
{
	struct request *r = request_of(skb, dev, key);
	__u32 judged = REQUEST_PASSES;

	if (r && r->judged) {
		if (r->generation != generation_of(*p))
			*p = NULL;
		return r->judged;
	}
	if (*p)
		judged = match(skb, *p, key, direction, dev);
	if (r) {
		r->generation = generation_of(*p);
		r->judged = judged;
	}
	return judged;
}

static __always_inline void find_owner(struct __sk_buff *skb,
				       struct vsfq_flow_stats *stats,
				       bool begins)
{
	if (!skb->sk || (stats->cgroup && !begins))
		return;
	stats->cgroup = bpf_skb_cgroup_id(skb);
	stats->uid = bpf_get_socket_uid(skb);
}

static __always_inline void count_flow(struct __sk_buff *skb,
				       struct vsfq_device_stats *dev,
				       struct vsfq_flow_stats *stats,
				       __u32 class, bool begins, bool egress)
{
	__u64 now = bpf_ktime_get_ns();

	if (!stats) {
		__sync_fetch_and_add(&dev->untracked, 1);
		return;
	}
	/* What is open is in its class until the request for it is answered. */
	if (egress || !begins || stats->state != VSFQ_FLOW_OPEN)
		stats->class = class;
	/* Another CPU may have seen it since, which is no silence. */
	begins |= (__s64)(now - stats->last_seen) > OWNER_NS;
	stats->last_seen = now;
	if (!egress) {
		count(&stats->received, skb);
		return;
	}
	count(&stats->sent, skb);
	find_owner(skb, stats, begins);
}

/*
 * Credit alone, which nobody is shown, does not say that a connection is open,
 * but all else does that does not end it or ask for it, nor comes from who has
 * asked for it.
 */
static __always_inline bool says_open(struct vsfq_flow_stats *stats, __u32 op,
				      bool egress)
{
	if (op == VSOCK_OP_RESPONSE)
		return stats->opened != egress;
	return op != VSOCK_OP_REQUEST && op != VSOCK_OP_INVALID &&
	       (egress || !stats->asked);
}

static __always_inline void follow(struct vsfq_device_stats *dev,
				   struct vsfq_flow_stats *stats,
				   struct vsfq_flow_key *key, __u32 op,
				   bool egress)
{
	if (op == VSOCK_OP_RST || op == VSOCK_OP_SHUTDOWN) {
		if (stats->state != VSFQ_FLOW_OPEN)
			return;
		event_connection(dev, key, stats, VSFQ_CLOSE);
		stats->state = VSFQ_FLOW_CLOSED;
	} else if (stats->state == VSFQ_FLOW_NEW &&
		   says_open(stats, op, egress)) {
		stats->state = VSFQ_FLOW_OPEN;
		stats->asked = 0;
		if (op == VSOCK_OP_RESPONSE)
			event_connection(dev, key, stats, VSFQ_CONNECT);
	}
}

/*
 * The ports of a connection that was closed may serve another one. One that is
 * open is over if this side asks; if the other one does it has yet to be
 * answered.
 */
static __always_inline void begin(struct vsfq_flow_stats *stats, bool egress)
{
	if (stats->state == VSFQ_FLOW_CLOSED) {
		__builtin_memset(&stats->sent, 0, sizeof(stats->sent));
		__builtin_memset(&stats->received, 0, sizeof(stats->received));
		stats->state = VSFQ_FLOW_NEW;
	}
	stats->asked = !egress;
	if (!egress)
		return;
	stats->state = VSFQ_FLOW_NEW;
	stats->opened = VSFQ_OUT;
}

/* The other side asked for it, and has it: another one, if there is one. */
static __always_inline void answer(struct vsfq_flow_stats *stats)
{
	stats->opened = VSFQ_IN;
	if (stats->asked)
		stats->state = VSFQ_FLOW_NEW;
	stats->asked = 0;
}

/*
 * What is said of a connection, whoever is let in. A request for one that is
 * open, or that this side has asked for, may be refused, by us or by others:
 * the RST that tells it, which belongs to no socket, is the end of nothing.
 */
static __always_inline __u32 hear(struct __sk_buff *skb,
				  struct vsfq_flow_stats *stats, __u32 op,
				  bool egress)
{
	bool there = stats->state == VSFQ_FLOW_OPEN ||
		     (stats->state == VSFQ_FLOW_NEW &&
		      stats->opened == VSFQ_OUT);

	if (!egress) {
		if (op == VSOCK_OP_REQUEST && there)
			stats->asked = 1;
		return op;
	}
	if (op == VSOCK_OP_RESPONSE)
		answer(stats);
	return op == VSOCK_OP_RST && there && stats->asked && !skb->sk ?
	       VSOCK_OP_INVALID : op;
}

/* What opens something is accepted: from now on there is a flow of it. */
static __always_inline struct vsfq_flow_stats *
flow_accept(struct __sk_buff *skb, struct vsfq_policy *p,
	    struct vsfq_flow_stats *stats, struct vsfq_flow_key *key,
	    __u32 judged, bool connection, bool egress)
{
	if (!stats)
		stats = flow_new(key, egress);
	if (stats && p)
		remember(skb, p, stats, egress, judged, egress);
	if (stats && connection)
		begin(stats, egress);
	return stats;
}

static __always_inline void count_stall(struct vsfq_class_stats *cs,
					struct vsfq_flow_stats *stats)
{
	if (cs)
		__sync_fetch_and_add(&cs->stalls, 1);
	if (stats)
		__sync_fetch_and_add(&stats->stalls, 1);
}

static __always_inline struct vsfq_flow_key flow_key(struct vsock_tuple *t,
						     bool egress)
{
	struct vsfq_flow_key key = { .type = t->type };

	key.local_cid = egress ? t->src_cid : t->dst_cid;
	key.local_port = egress ? t->src_port : t->dst_port;
	key.peer_cid = egress ? t->dst_cid : t->src_cid;
	key.peer_port = egress ? t->dst_port : t->src_port;
	return key;
}

/* Of a connection: does a cap let it be? Only its request can be refused. */
static __always_inline bool within_caps(struct __sk_buff *skb,
					struct vsfq_policy *p,
					struct vsfq_device_stats *dev,
					struct vsfq_flow_stats *stats,
					struct vsfq_flow_key *key, __u32 class,
					__u32 op, bool egress)
{
	if (op == VSOCK_OP_RST || op == VSOCK_OP_SHUTDOWN) {
		if (dev->opens.open)
			connection_end(key, dev);
	} else if (!p || !p->opens) {
		return true;
	} else if (op == VSOCK_OP_REQUEST) {
		return connection_open(skb, p, dev, stats, key, class, egress);
	} else if (op == VSOCK_OP_RESPONSE ||
		   (op == VSOCK_OP_RW &&
		    (!stats ||
		     stats->last_seen >> 30 != bpf_ktime_get_ns() >> 30))) {
		connection_seen(skb, p, dev, stats, key, class, egress);
	}
	return true;
}

/*
 * For the qdisc. A program behind this one that returns TCX_PASS has the kernel
 * put what is in tc_classid there.
 */
static __always_inline void tell_class(struct __sk_buff *skb, __u32 class)
{
	skb->tc_index = VSFQ_TC_MARK | class;
	skb->tc_classid = VSFQ_TC_MARK | class;
}

static __always_inline int account(struct __sk_buff *skb, bool egress)
{
	struct vsfq_flow_stats *stats;
	struct vsfq_class_stats *cs;
	struct vsfq_device_stats *dev;
	struct vsfq_flow_key key;
	struct vsock_tuple tuple;
	struct vsfq_policy *p;
	__u32 class, judged, op, zero = 0;
	bool opens, connection;

	dev = bpf_map_lookup_elem(&device, &zero);
	if (!dev)
		return TCX_NEXT;
	count(egress ? &dev->sent : &dev->received, skb);
	if (skb->protocol != bpf_htons(ETH_P_VSOCK) ||
	    !vsock_parse(skb, &tuple, &op)) {
		__sync_fetch_and_add(&dev->foreign, 1);
		return TCX_NEXT;
	}
	opens = vsock_opens(tuple.type, op);
	judged = VSFQ_JUDGED(VSFQ_ACCEPT, vsock_class(tuple.type));
	connection = vsock_class(tuple.type) == VSFQ_CLASS_STREAM;
	key = flow_key(&tuple, egress);
	stats = bpf_map_lookup_elem(&flows, &key);
	/* One that a cap counts has a flow, whatever becomes of the request. */
	if (!stats && (!opens || (connection &&
				  bpf_map_lookup_elem(&connections, &key))))
		stats = flow_new(&key, egress);
	if (stats && connection)
		op = hear(skb, stats, op, egress);
	p = policy_in_force();
	if (connection && opens)
		judged = judge_request(skb, &p, dev, &key, egress);
	else if (p)
		judged = judge(skb, p, dev, stats, &key, egress);
	if (opens) {
		event_judged(dev, &key, egress, judged);
		if (VSFQ_JUDGED_VERDICT(judged) >= VSFQ_REJECT) {
			__sync_fetch_and_add(&dev->refused[egress], 1);
			return TCX_DROP;
		}
	}
	class = class_of(skb, stats, judged, connection, egress);
	if (connection &&
	    !within_caps(skb, p, dev, stats, &key, class, op, egress)) {
		__sync_fetch_and_add(&dev->refused[egress], 1);
		return TCX_DROP;
	}
	if (opens && (connection || !stats))
		stats = flow_accept(skb, p, stats, &key, judged, connection,
				    egress);
	cs = class_stats(class);
	if (cs)
		count(egress ? &cs->sent : &cs->received, skb);
	if (egress && op == VSOCK_OP_RW && connection && credit_used_up(skb))
		count_stall(cs, stats);
	count_flow(skb, dev, stats, class,
		   op == VSOCK_OP_REQUEST || op == VSOCK_OP_RESPONSE, egress);
	if (stats && connection)
		follow(dev, stats, &key, op, egress);
	if (egress)
		tell_class(skb, class);
	else
		pace(skb, p, dev);
	return TCX_NEXT;
}

SEC("tcx/egress")
int vsfq_egress(struct __sk_buff *skb)
{
	return account(skb, true);
}

SEC("tcx/ingress")
int vsfq_ingress(struct __sk_buff *skb)
{
	return account(skb, false);
}

/*
 * The loader says which device it is, as rules see it, and nothing of what is
 * counted meanwhile. The generation comes last: see pace_caps().
 */
SEC("syscall")
int vsfq_describe(struct vsfq_description *as)
{
	struct vsfq_device_stats *dev;
	__u32 zero = 0;

	dev = bpf_map_lookup_elem(&device, &zero);
	if (!dev)
		return 0;
	__builtin_memcpy(dev->name, as->name, sizeof(dev->name));
	__builtin_memcpy(dev->port, as->port, sizeof(dev->port));
	dev->local_cid = as->local_cid;
	dev->peer_cid = as->peer_cid;
	__sync_lock_test_and_set(&dev->generation, 0);
	return 0;
}
