# SPDX-License-Identifier: GPL-2.0-only
"""What tc can do to a device that streams use, and the device's ledger."""

import re

# These delay, repeat and reorder, but lose nothing.
KEEPS = {
    "pfifo": "pfifo limit 100",
    "netem_delay": "netem delay 20ms limit 10000",
    "netem_jitter": "netem delay 5ms 4ms limit 100000",
    "netem_reorder": "netem delay 5ms reorder 50% limit 100000",
    "netem_duplicate": "netem duplicate 50% limit 100000",
    "fq": "fq flow_limit 100",
    "sfq": "sfq limit 127",
    "tbf": "tbf rate 100mbit burst 128k limit 10m",
}
# These drop: at the tail, the head, when dequeuing, by chance.
DROPS = {
    "netem_loss": "netem loss 10% limit 10000",
    "netem_rate_limit": "netem rate 100mbit limit 2",
    "fq_codel": "fq_codel limit 3",
    "cake": "cake bandwidth 100mbit",
    "red": "red limit 100000 min 10000 max 20000 avpkt 1000 burst 15"
           " bandwidth 10mbit",
    "tbf_tail": "tbf rate 100mbit burst 128k latency 5ms",
    "htb_fq_codel":
        "handle 1: htb default 1 && tc class add dev {dev} parent 1: "
        "classid 1:1 htb rate 100mbit burst 128k cburst 128k && tc qdisc add "
        "dev {dev} parent 1:1 fq_codel limit 10000 memory_limit 500m",
}
# These lose and spoil by chance what streams get back, see t_3_lossless.
SPOILS = {
    "netem_loss_20": "netem loss 20%",
    "netem_everything": "netem delay 5ms 4ms loss 10% duplicate 30% "
                        "reorder 25%",
    "netem_corrupt_30": "netem corrupt 30%",
}
# While these are on nothing passes. They are put on and off under load.
BLOCKS = {
    "netem_corrupt": ("tc qdisc replace dev {dev} root netem corrupt 100%",
                      "tc qdisc replace dev {dev} root pfifo_fast"),
    "etf": ("tc qdisc replace dev {dev} root etf clockid CLOCK_TAI",
            "tc qdisc replace dev {dev} root pfifo_fast"),
    "plug": ("tc qdisc replace dev {dev} root plug limit 10000000",
             "tc qdisc replace dev {dev} root pfifo_fast"),
    "egress_drop": ("tc qdisc add dev {dev} clsact && tc filter add dev {dev} "
                    "egress matchall action drop",
                    "tc qdisc del dev {dev} clsact"),
    "redirect_to_ingress": (
        "tc qdisc add dev {dev} clsact && tc filter add dev {dev} egress "
        "matchall action mirred ingress redirect dev {dev}",
        "tc qdisc del dev {dev} clsact"),
    "redirect_to_lo": (
        "tc qdisc add dev {dev} clsact && tc filter add dev {dev} egress "
        "matchall action mirred egress redirect dev lo",
        "tc qdisc del dev {dev} clsact"),
    "replace_while_queued": (
        "tc qdisc replace dev {dev} root netem delay 60s limit 10000",
        "tc qdisc replace dev {dev} root pfifo limit 1000"),
    "down_while_queued": (
        "tc qdisc replace dev {dev} root netem delay 60s limit 10000",
        "ip link set {dev} down"),
}


def ledger_of(shown):
    """The counters of "ethtool -S", whichever this kernel has and whatever else
    was shown: each line is "name: value", indented."""
    return {name: int(value) for name, value in
            re.findall(r"^ +(\w+): (\d+)$", shown, re.M)}
