/* SPDX-License-Identifier: GPL-2.0-only */
/* A guest that says a few things to one port, for the cases */
#ifndef GUEST_H
#define GUEST_H

#include "device.h"
#include "gen.h"
#include "lay.h"

#define GUEST_CID	52
#define GUEST_PORT	7100	/* the host's */
#define PATIENCE_MS	20000

struct guest {
	struct device dev;
	struct batch batch;
};

/* Boot and run a command for its device, if one is given; all -errno */
int guest_boot(struct guest *guest, uint64_t cid, uint64_t features,
	       const char *on_open);
void guest_end(struct guest *guest);
/* Of a stream from @port, without payload */
struct packet guest_packet(uint16_t op, uint32_t port);
void guest_say(struct guest *guest, const struct packet *pkt);
/* Wait until the host has used one more thing that was said */
int guest_used(struct guest *guest);
/* Wait until the host has used everything that was said */
int guest_flush(struct guest *guest);
/* The host's next socket at @listener */
int guest_accept(int listener);
/* Connect from port 1024 to @listener; the host's new socket */
int guest_connect(struct guest *guest, int listener);
int guest_connect_from(struct guest *guest, uint64_t cid, uint32_t port,
		       int listener);
/* Take @n packets and give their buffers back, or one whose header is wanted */
int guest_hear(struct guest *guest, unsigned int n);
int guest_hear_one(struct guest *guest, struct virtio_vsock_hdr *hdr);

#endif
