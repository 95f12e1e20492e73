# SPDX-License-Identifier: GPL-2.0-only
"""The first rounds of one run of "make torture", which has many more."""

from torture import Late, Plan, torture

BED = "pair"

# One that loses, one that loops, one that blocks, one that lets chance decide,
# one that is late; both sides send, in each of the ways to do it, once much,
# twice at a time.
SEED, ROUNDS = 45380, 4


def round_(number):
    def test(t):
        try:
            torture(t, Plan(SEED, number))
        except Late as err:
            # A bound on times, beside other tests.
            print("# %s, once more" % err, flush=True)
            torture(t, Plan(SEED, number))
    return test


for number in range(ROUNDS):
    globals()["test_round_%d" % number] = round_(number)
