# SPDX-License-Identifier: GPL-2.0-only
"""The first rounds of one run of "make torture", which has many more."""

from torture import Plan, torture

BED = "pair"

# One that blocks, one that loops, one that loses; both sides send.
SEED, ROUNDS = 3, 4


def round_(number):
    def test(t):
        torture(t, Plan(SEED, number))
    return test


for number in range(ROUNDS):
    globals()["test_round_%d" % number] = round_(number)
