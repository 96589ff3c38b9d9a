"""Dominance: which labels at a node can be left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgeplan.solvers.chain.prices import Bools, Floats, Integers

BLOCK = 64
CHUNK = 2048
"""So many labels are held against so many: what fits into a processor's cache."""


def undominated(
    use: Floats,
    allowance: Floats,
    paid: Bools,
    charges: Floats,
    check: Callable[[], None],
) -> Integers:
    """Return the indices of labels that no other makes needless, cheapest first.

    Label a makes b needless where whatever completes b completes a as well, at no higher price:
    for each quantity, ``use`` of a plus the charges that b has paid and a has not is at most
    ``allowance`` of b. Of equal labels one stays.

    Parameters
    ----------
    use
        By (label, quantity), the objective first; ``-inf`` where the label has room for every
        completion.
    allowance
        The same; ``inf`` where no completion of the label uses more of it.
    paid
        By (label, charge): charges that are paid once.
    charges
        By (charge, quantity).
    check
        Called between blocks; raises to end the run.
    """
    order = np.lexsort((allowance[:, 1:].sum(axis=1), allowance[:, 0]))
    if len(order) < 2:
        return order
    # Cheapest first: a label can only be dominated by one before it.
    dear = [k for k in range(charges.shape[1]) if charges[:, k].any()] if len(charges) else []
    unpaid_charges = {k: (~paid) * charges[:, k] for k in dear}
    paid_numbers = paid.astype(np.float64)
    # The price decides least, since the order is by it: it is compared last.
    columns = [*range(1, use.shape[1]), 0]

    def dominated(left: Integers, right: Integers) -> Bools:
        """Say which on the right a label on the left makes needless (equal ones are all so)."""
        found = np.zeros(len(right), dtype=np.bool_)
        for begin in range(0, len(right), CHUNK):
            found[begin : begin + CHUNK] = pairs(left, right[begin : begin + CHUNK]).any(axis=0)
        return found

    def pairs(left: Integers, right: Integers) -> Bools:
        """Say which on the left make which on the right needless."""
        result = np.zeros((len(left), len(right)), dtype=np.bool_)
        still = np.arange(len(right))
        found = np.ones(result.shape, dtype=np.bool_)
        for number, k in enumerate(columns):
            have = use[left, k][:, None]
            if k in unpaid_charges:
                have = have + unpaid_charges[k][left] @ paid_numbers[right].T
            found &= have <= allowance[right, k][None, :]
            if number % 2:  # go on with those for which there is still a candidate
                some = found.any(axis=0)
                if not some.all():
                    still, right, found = still[some], right[some], found[:, some]
                    if not len(right):
                        return result
        result[:, still] = found
        return result

    kept = []
    while len(order):
        check()
        block, order = order[:BLOCK], order[BLOCK:]
        within = np.triu(pairs(block, block), k=1)
        block = block[~within.any(axis=0)]
        kept.append(block)
        if len(order):
            order = order[~dominated(block, order)]
    return np.concatenate(kept)
