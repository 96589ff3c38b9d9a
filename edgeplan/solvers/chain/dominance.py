"""Dominance: which labels at a node can be left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgeplan.solvers.chain.charges import Bools, Floats, Integers

BLOCK = 64


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

    def dominates(left: Integers, right: Integers) -> Bools:
        found = np.ones((len(left), len(right)), dtype=np.bool_)
        for k in range(use.shape[1]):
            have = use[left, k][:, None]
            if k in unpaid_charges:
                have = have + unpaid_charges[k][left] @ paid_numbers[right].T
            found &= have <= allowance[right, k][None, :]
        return found

    kept = []
    while len(order):
        check()
        block, order = order[:BLOCK], order[BLOCK:]
        within = np.triu(dominates(block, block), k=1)
        block = block[~within.any(axis=0)]
        kept.append(block)
        if len(order):
            order = order[~dominates(block, order).any(axis=0)]
    return np.concatenate(kept)
