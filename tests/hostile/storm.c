// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>

#include "device.h"
#include "gen.h"
#include "lay.h"
#include "netdev.h"
#include "storm.h"

/* Ended by device_wait(): the host has nothing more to say for that long */
#define QUIET_MS	20
/* How often in a row before the host counts as lost, and, if there is a
 * reason for the device to be stuck, as stuck.
 */
#define QUIET_LOST	1000
#define QUIET_STUCK	5

#define MAX_BATCH	400	/* packets offered at once */

/* How the guest treats what it receives during one boot */
enum ear {
	EAR_OPEN,
	EAR_DEAF,	/* no buffers, until the host waits for some */
	EAR_SMALL,	/* buffers down to a bare header */
	EAR_TINY,	/* buffers that hold no header: they lose a reply each */
	NR_EARS,
};

struct boot {
	struct storm *storm;
	struct device dev;
	struct gen gen;
	/* Apart from gen, so that timing does not change what is said */
	struct rng rng;
	enum ear ear;
};

static uint32_t rx_len(struct boot *boot)
{
	static const uint32_t small[] = { 44, 45, 64, 300, RX_BUF_SIZE };
	static const uint32_t tiny[] = { 0, 1, 43, 44, RX_BUF_SIZE };

	switch (boot->ear) {
	case EAR_SMALL:
		return rng_pick(&boot->rng, small);
	case EAR_TINY:
		return rng_pick(&boot->rng, tiny);
	default:
		return RX_BUF_SIZE;
	}
}

static void listen_all(struct boot *boot)
{
	unsigned int i;

	for (i = 0; i < RING_NUM; i++)
		rx_offer(&boot->dev, i, rx_len(boot));
	ring_kick(&boot->dev.rx);
}

static void hear(struct boot *boot)
{
	struct vring_used_elem elem;
	bool any = false;

	while (ring_used(&boot->dev.rx, &elem)) {
		boot->storm->received++;
		rx_offer(&boot->dev, elem.id, rx_len(boot));
		any = true;
	}
	if (any)
		ring_kick(&boot->dev.rx);
}

/* Wait until the host has used @marker and so all that was offered before */
static int await_marker(struct boot *boot, uint16_t marker)
{
	struct vring_used_elem elem;
	int quiet = 0, err;

	for (;;) {
		while (ring_used(&boot->dev.tx, &elem))
			if (elem.id == marker)
				return 0;
		hear(boot);
		err = device_wait(&boot->dev, QUIET_MS);
		if (err && err != -ETIMEDOUT)
			return err;
		quiet = err ? quiet + 1 : 0;
		if (quiet && boot->ear == EAR_DEAF) {
			boot->ear = EAR_OPEN;
			listen_all(boot);
		}
		if (quiet == QUIET_STUCK && boot->ear == EAR_TINY)
			return -EBUSY;
		if (quiet == QUIET_LOST)
			return -ETIMEDOUT;
	}
}

static int send_batch(struct boot *boot, unsigned int n)
{
	struct batch batch = { .dev = &boot->dev };
	struct packet pkt;
	uint16_t marker;

	while (n-- && lay_room(&batch)) {
		gen_packet(&boot->gen, &pkt);
		if (pkt.layout < LAY_SHORT && gen_is_heard(&boot->gen, &pkt))
			met_note(&boot->storm->met, &pkt.hdr);
		lay_packet(&batch, &pkt);
		boot->storm->sent++;
	}
	marker = lay_marker(&batch);
	ring_kick(&boot->dev.tx);
	return await_marker(boot, marker);
}

static int send_wedge(struct boot *boot)
{
	struct device *dev = &boot->dev;
	enum wedge kind = rng_below(&boot->gen.rng, NR_WEDGES);
	bool rx = rng_one_in(&boot->gen.rng, 4);
	int err;

	lay_wedge(dev, rx ? &dev->rx : &dev->tx, kind);
	boot->storm->wedges++;
	err = device_wait(dev, QUIET_MS);
	if (err && err != -ETIMEDOUT)
		return err;
	err = device_restart(dev);
	if (!err && boot->ear != EAR_DEAF)
		listen_all(boot);
	return err;
}

static int talk(struct boot *boot, uint64_t packets)
{
	uint64_t end = boot->storm->sent + packets;
	int err = 0;

	while (!err && boot->storm->sent < end) {
		err = send_batch(boot, 1 + rng_below(&boot->gen.rng,
						     MAX_BATCH));
		if (!err && rng_one_in(&boot->gen.rng, 4))
			err = send_wedge(boot);
	}
	return err;
}

static int boot_run(struct storm *storm, uint64_t packets)
{
	struct boot boot = { .storm = storm };
	int err;

	gen_init(&boot.gen, storm->seed ^ storm->boot << 32, storm->cid,
		 storm->victim, storm->server);
	boot.ear = rng_below(&boot.gen.rng, NR_EARS);
	err = device_open(&boot.dev, storm->cid, gen_features(&boot.gen.rng));
	if (err)
		return err;
	lay_payload(&boot.dev);
	if (storm->on_open)
		err = netdev_run(storm->cid, storm->on_open);
	if (!err)
		err = device_start(&boot.dev);
	if (!err && boot.ear != EAR_DEAF)
		listen_all(&boot);
	if (!err)
		err = talk(&boot, packets);
	if (err == -EBUSY) {
		storm->stuck++;
		err = 0;
	}
	device_close(&boot.dev);
	return err;
}

int storm_run(struct storm *storm)
{
	uint64_t left;
	int err = 0;

	storm->boot = storm->first_boot;
	while (!err && storm->sent < storm->packets) {
		left = storm->packets - storm->sent;
		err = boot_run(storm, left < BOOT_PACKETS ? left :
							    BOOT_PACKETS);
		if (!err)
			storm->boot++;
	}
	return err;
}
