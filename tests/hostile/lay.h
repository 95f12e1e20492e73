/* SPDX-License-Identifier: GPL-2.0-only */
/* Lays packets out in descriptors of a device's transmit ring */
#ifndef LAY_H
#define LAY_H

#include "device.h"
#include "gen.h"

/* The descriptors that are taken since the host had used all before */
struct batch {
	struct device *dev;
	unsigned int taken;
};

void lay_payload(struct device *dev);
/* Is there room for any packet, and a marker behind it? */
bool lay_room(const struct batch *batch);
void lay_packet(struct batch *batch, const struct packet *pkt);
/* Offer a packet that the host drops and returns; its descriptor */
uint16_t lay_marker(struct batch *batch);
/* Offer what stops @ring of an idle device until it starts anew */
void lay_wedge(struct device *dev, struct ring *ring, enum wedge kind);

#endif
