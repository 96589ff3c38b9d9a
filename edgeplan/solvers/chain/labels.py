"""Label setting along the cuts: shortest paths within limits and with charges paid once.

A label is a partial route: what it has used of each quantity, which charges of `Arcs.once` it
has paid, and the largest activation on each device whose memory is limited. Labels are made cut
by cut; of those at a node only the undominated ones that can still beat the incumbent within
the limits are kept (Irnich, Desaulniers: Shortest path problems with resource constraints, in
Column Generation, 2005; completion bounds as in Dumitrescu, Boland: Improved preprocessing,
labeling and scaling algorithms for the weight-constrained shortest path problem, Networks 42,
2003).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgeplan.solvers.chain.charges import Arcs, peak_of_spans
from edgeplan.solvers.chain.dominance import undominated
from edgeplan.solvers.chain.paths import Quantities, Stage, completions, weighted
from edgeplan.solvers.chain.prices import Bools, Floats, Integers, Limit

Node = Literal["enter", "leave", "stay"]

ROUNDING = 1e-12
"""Prices that differ by less, relatively, count as equal when labels are left out."""


@dataclass(frozen=True)
class Labels:
    """Labels in columns: what they use, have paid, their peaks, begin of the stage, entry."""

    used: Floats
    paid: Bools
    peaks: Floats
    first: Integers
    entry: Integers

    def __len__(self) -> int:
        return len(self.used)

    def __getitem__(self, rows: Bools | Integers) -> Labels:
        return Labels(
            self.used[rows], self.paid[rows], self.peaks[rows], self.first[rows], self.entry[rows]
        )

    @classmethod
    def join(cls, groups: Sequence[Labels]) -> Labels:
        """Return all labels of some groups."""
        return cls(
            np.concatenate([g.used for g in groups]),
            np.concatenate([g.paid for g in groups]),
            np.concatenate([g.peaks for g in groups]),
            np.concatenate([g.first for g in groups]),
            np.concatenate([g.entry for g in groups]),
        )


class Trail:
    """Where labels came from: numbered stages, each with the one before it."""

    def __init__(self) -> None:
        self._chunks: list[tuple[int, int, Integers]] = []
        self._starts: list[int] = []
        self._count = 0

    def add(self, cut: int, device: int, before: Integers) -> Integers:
        """Note that stages begin at a node; return their numbers."""
        self._chunks.append((cut, device, before))
        self._starts.append(self._count)
        self._count += len(before)
        return np.arange(self._count - len(before), self._count, dtype=np.int64)

    def stages(self, entry: int, stop: int) -> list[Stage]:
        """Return the stages up to one that began as numbered."""
        found = []
        while entry >= 0:
            chunk = int(np.searchsorted(self._starts, entry, side="right")) - 1
            # Empty chunks share a start with the one that follows them: the last is meant.
            first, device, before = self._chunks[chunk]
            found.append((device, first, stop))
            entry, stop = int(before[entry - self._starts[chunk]]), first
        found.reverse()
        return found


class LabelSearch:
    """One run over all cuts, for some of the problem's limits.

    Parameters
    ----------
    arcs, quantities, limits
        The graph, what its arcs count (objective, then the limits in their order).
    weights, shares, capacities
        Multipliers, shares of the charges, and how much of each quantity is free (see `relax`).
    best
        Price of the incumbent, ``inf`` for none: only cheaper routes are looked for.
    width
        Most labels kept at a node: those with the least bounds. A narrow run is no proof, but
        finds plans soon; ``inf`` keeps all.
    visit
        Called with the number of labels made; raises to end the run.
    report
        Called with lower bounds on all routes.

    Attributes
    ----------
    dropped
        The least bound of the labels that the width left out; ``inf`` where it left out none.
    """

    def __init__(
        self,
        arcs: Arcs,
        quantities: Quantities,
        limits: Sequence[Limit],
        *,
        weights: Floats,
        shares: Floats,
        capacities: Floats,
        best: float,
        width: float,
        visit: Callable[[int], None],
        report: Callable[[float], None],
    ) -> None:
        self.arcs = arcs
        self.parts = quantities.parts
        self.visit = visit
        self.report = report
        self.width = width
        self.dropped = np.inf
        count = quantities.count
        # Charges that count in none of these quantities need not be told apart.
        counted = np.flatnonzero(quantities.once.any(axis=1))
        self.once = [arcs.once[index] for index in counted]
        self.charges = quantities.once[counted]
        self.memory = [k for k, limit in enumerate(limits, 1) if limit.device is not None]
        self.memory_device = [d for limit in limits if (d := limit.device) is not None]
        self.others = [k for k in range(count) if k not in self.memory]
        self.weights = weights
        self.offset = float(weights @ capacities)
        scale = abs(best) + float(weights[1:].sum()) if np.isfinite(best) else 0.0
        self.threshold = best - ROUNDING * scale

        units = np.eye(count)
        self.costs = weighted(arcs, quantities, weights, shares)
        self.reduced = completions(arcs, self.costs)
        self.least = [completions(arcs, weighted(arcs, quantities, unit, shares)) for unit in units]
        self.most = [completions(arcs, weighted(arcs, quantities, -unit, None)) for unit in units]
        self.once_total = quantities.once.sum(axis=0)
        self.trail = Trail()
        self._tables(shares[counted])

    def _tables(self, shares: Floats) -> None:
        arcs = self.arcs
        # Share of each charge that lower bounds put behind a cut; a result's return is decided
        # only when it is known where the next layer runs.
        behind = np.zeros((arcs.layers + 1, len(self.once)))
        behind[:-1] = np.cumsum(shares[:, ::-1], axis=1)[:, ::-1].T
        for index, charge in enumerate(self.once):
            if charge.kind == "return":
                behind[1:, index] = behind[:-1, index]
        self.behind = behind
        self.behind_reduced = behind * (self.charges @ self.weights)
        self.by_device = [
            [(b, charge) for b, charge in enumerate(self.once) if charge.device == device]
            for device in range(len(arcs.names))
        ]
        self.counts = [np.concatenate([[0], np.cumsum(charge.causes)]) for charge in self.once]
        self.peaks, self.weight = [], []
        for device in self.memory_device:
            part = 1 / arcs.memory_limit(device)
            self.peaks.append(arcs.peaks[:, device] * part)
            self.weight.append(arcs.weights[:, device] * part)
        if arcs.spans:
            self.span_peaks = [peak_of_spans(peaks) for peaks in self.peaks]
            (stages,) = self.costs.parts.body
            ends = stages + (self.reduced.leave + self.costs.end).T[None]
            ends -= self.costs.begin[:-1, :, None]
            # The least over all stops from one on.
            self.still_open = np.minimum.accumulate(ends[:, :, ::-1], axis=2)[:, :, ::-1]

    # -- the run ---------------------------------------------------------------------------------

    def run(self) -> list[tuple[float, list[Stage]]]:
        """Return the routes found that are cheaper than the incumbent, cheapest first."""
        arcs = self.arcs
        count, devices = arcs.layers, len(arcs.names)
        none = self._none()
        pools = [none] * devices  # inside a stage (or, with spans, before it ends)
        entered = [self._begin(device) for device in range(devices)]
        for stop in range(1, count + 1):
            ended = []
            for device in range(devices):
                if arcs.spans:
                    pools[device] = Labels.join([pools[device], entered[device]])
                    labels = self._end_stages(pools[device], device, stop)
                    labels = self._undominated(
                        self._open(labels, "leave", stop, device), "leave", stop, device
                    )
                else:
                    pools[device] = self._run_layer(pools[device], entered[device], device, stop)
                    labels = self._open(pools[device], "leave", stop, device)
                ended.append(labels)
            if stop == count:
                return self._finished(ended)
            entered = [self._enter(ended, device, stop) for device in range(devices)]
            self._tell(pools, entered, stop)
        raise AssertionError("a network has layers")

    def _none(self) -> Labels:
        count = self.parts.enter.shape[0]
        return Labels(
            np.zeros((0, count)),
            np.zeros((0, len(self.once)), dtype=np.bool_),
            np.zeros((0, len(self.memory))),
            np.zeros(0, dtype=np.int64),
            np.zeros(0, dtype=np.int64),
        )

    def _begin(self, device: int) -> Labels:
        if np.isinf(self.arcs.walls.enter[device]):
            return self._none()
        one = np.zeros(1, dtype=np.int64)
        labels = Labels(
            self.parts.enter[:, device][None].copy(),
            np.zeros((1, len(self.once)), dtype=np.bool_),
            np.zeros((1, len(self.memory))),
            one,
            one - 1,
        )
        return self._entered(labels, 0, device)

    def _entered(self, labels: Labels, cut: int, device: int) -> Labels:
        """Switch the device on, and leave out what is not worth going on with."""
        for index, charge in self.by_device[device]:
            if charge.kind == "on":
                self._pay(labels, index, np.ones(len(labels), dtype=np.bool_))
        labels = self._open(labels, "enter", cut, device)
        labels = self._undominated(labels, "enter", cut, device)
        entry = self.trail.add(cut, device, labels.entry)
        return Labels(labels.used, labels.paid, labels.peaks, np.full(len(labels), cut), entry)

    def _enter(self, ended: Sequence[Labels], device: int, cut: int) -> Labels:
        """Cross from all other devices."""
        arcs = self.arcs
        groups = [self._none()]
        for source, labels in enumerate(ended):
            if not len(labels) or np.isinf(arcs.walls.cross[cut, source, device]):
                continue
            used = labels.used + self.parts.cross[:, cut, source, device]
            moved = Labels(used, labels.paid.copy(), labels.peaks, labels.first, labels.entry)
            results = arcs.unread if device == arcs.origin else arcs.results
            if results[cut - 1]:
                self._pay_return(moved, source)
            groups.append(moved)
        return self._entered(Labels.join(groups), cut, device)

    def _pay(self, labels: Labels, index: int, who: Bools) -> None:
        """Charge those that have not paid yet."""
        new = who & ~labels.paid[:, index]
        labels.used[new] += self.charges[index]
        labels.paid[:, index] |= who

    def _pay_return(self, labels: Labels, device: int) -> None:
        for index, charge in self.by_device[device]:
            if charge.kind == "return":
                self._pay(labels, index, np.ones(len(labels), dtype=np.bool_))

    def _end_stages(self, pool: Labels, device: int, stop: int) -> Labels:
        """End the stages of a device's pool at a cut (costs as spans)."""
        first = pool.first
        wall = self.arcs.walls.body[0][first, device, stop]
        pool = pool[np.isfinite(wall)]
        first = pool.first
        used = pool.used + self.parts.body[0][:, first, device, stop].T
        labels = Labels(used, pool.paid.copy(), pool.peaks.copy(), first, pool.entry)
        for index, charge in self.by_device[device]:
            if charge.kind != "on":
                until = stop - 1 if charge.kind == "return" else stop
                self._pay(labels, index, self.counts[index][until] > self.counts[index][first])
        for m, limited in enumerate(self.memory_device):
            if limited == device:
                peaks = self.span_peaks[m][first, stop]
                labels.peaks[:, m] = np.maximum(labels.peaks[:, m], peaks)
        return labels

    def _run_layer(self, pool: Labels, entered: Labels, device: int, stop: int) -> Labels:
        """Run the layer before a cut: begin stages with it, or go on (costs as layers)."""
        arcs, layer = self.arcs, stop - 1
        groups = [self._none()]
        for body, wall, labels, goes_on in zip(
            self.parts.body, arcs.walls.body, (entered, pool), (False, True), strict=True
        ):
            if not len(labels) or np.isinf(wall[layer, device]):
                continue
            used = labels.used + body[:, layer, device]
            labels = Labels(
                used, labels.paid.copy(), labels.peaks.copy(), labels.first, labels.entry
            )
            everyone = np.ones(len(labels), dtype=np.bool_)
            for index, charge in self.by_device[device]:
                if charge.kind == "input" and charge.causes[layer]:
                    self._pay(labels, index, everyone)
            if goes_on and arcs.results[layer - 1]:
                self._pay_return(labels, device)
            for m, limited in enumerate(self.memory_device):
                if limited == device:
                    np.maximum(labels.peaks[:, m], self.peaks[m][layer], out=labels.peaks[:, m])
            groups.append(labels)
        labels = self._open(Labels.join(groups), "stay", stop, device)
        return self._undominated(labels, "stay", stop, device)

    def _finished(self, ended: Sequence[Labels]) -> list[tuple[float, list[Stage]]]:
        arcs = self.arcs
        found = []
        for device, labels in enumerate(ended):
            if not len(labels) or np.isinf(arcs.walls.last[device]):
                continue
            labels = Labels(
                labels.used + self.parts.last[:, device],
                labels.paid.copy(),
                labels.peaks,
                labels.first,
                labels.entry,
            )
            if arcs.results[-1] and device != arcs.origin:
                self._pay_return(labels, device)
            fits = self._within(labels, np.zeros(labels.used.shape[1]))
            fits &= labels.used[:, 0] < self.threshold
            found += [
                (float(labels.used[row, 0]), int(labels.entry[row])) for row in np.flatnonzero(fits)
            ]
        found.sort()
        return [(price, self.trail.stages(entry, arcs.layers)) for price, entry in found]

    # -- what can be left out --------------------------------------------------------------------

    def _open(self, labels: Labels, node: Node, cut: int, device: int) -> Labels:
        """Return the labels that can still become a cheaper route within the limits."""
        if not len(labels):
            return labels
        least = np.array([getattr(table, node)[cut, device] for table in self.least])
        if np.isinf(least[0]):
            return self._none()
        # Once paid, a charge is not due again; on the limits' bounds it is left off likewise.
        again = labels.paid @ (self.behind[cut][:, None] * self.charges)
        fits = self._within(labels, least - again)
        fits &= labels.used[:, 0] + least[0] - again[:, 0] < self.threshold
        fits &= self._reduced(labels, node, cut, device) < self.threshold
        self.visit(len(labels))
        return labels[fits]

    def _reduced(self, labels: Labels, node: Node, cut: int, device: int) -> Floats:
        """Return the Lagrangian bound on all completions of each label."""
        completion = float(getattr(self.reduced, node)[cut, device])
        found: Floats = (
            labels.used @ self.weights
            - labels.paid @ self.behind_reduced[cut]
            + (completion - self.offset)
        )
        return found

    def _within(self, labels: Labels, more: Floats) -> Bools:
        """Say which labels stay within the limits with at least so much more of each quantity."""
        used = labels.used + more
        fits = np.asarray((used[:, self.others[1:]] <= 1).all(axis=1))
        for m, k in enumerate(self.memory):
            fits &= used[:, k] + labels.peaks[:, m] <= 1
        return fits

    def _undominated(self, labels: Labels, node: Node, cut: int, device: int) -> Labels:
        if len(labels) < 2:
            return labels
        labels = self._narrowed(labels, 4 * self.width, node, cut, device)
        most = np.array([-getattr(table, node)[cut, device] for table in self.most])
        roomy = labels.used + most + self.once_total <= 1
        use, allowance = [], []
        for k in self.others:
            column = labels.used[:, k]
            use.append(np.where(roomy[:, k], -np.inf, column) if k else column)
            allowance.append(column)
        for m, k in enumerate(self.memory):
            self._compare_memory(labels, m, labels.used[:, k], cut, use, allowance)
        charges = np.zeros((len(self.once), len(use)))
        charges[:, : len(self.others)] = self.charges[:, self.others]
        kept = undominated(
            np.stack(use, axis=1),
            np.stack(allowance, axis=1),
            labels.paid,
            charges,
            lambda: self.visit(0),
        )
        return self._narrowed(labels[kept], self.width, node, cut, device)

    def _narrowed(self, labels: Labels, width: float, node: Node, cut: int, device: int) -> Labels:
        """Return the labels with the least bounds; note the least of those left out."""
        if len(labels) <= width:
            return labels
        bounds = self._reduced(labels, node, cut, device)
        order = np.argsort(bounds, kind="stable")
        at = int(width)
        self.dropped = min(self.dropped, float(bounds[order[at]]))
        return labels[order[:at]]

    def _compare_memory(
        self,
        labels: Labels,
        m: int,
        kept: Floats,
        cut: int,
        use: list[Floats],
        allowance: list[Floats],
    ) -> None:
        """Add a device's memory to the comparison.

        What completes a route adds the same weights W to both labels and has some peak p. The
        bytes, kept + W + max(peak, p), are compared for all p between the least and the largest
        activation to come: the difference of two labels is largest at one of the two ends.
        """
        device = self.memory_device[m]
        to_come = self.arcs.allowed[cut:, device]
        if not to_come.any():
            return
        peaks = labels.peaks[:, m]
        weight = self.weight[m][cut:][to_come]
        peak = self.peaks[m][cut:][to_come]
        roomy = kept + weight.sum() + np.maximum(peaks, peak.max()) <= 1
        # No layer to come fits: what other labels use of this memory does not matter to it.
        full = np.maximum(kept + peaks + weight.min(), kept + (weight + peak).min()) > 1
        for end in (peak.min(), peak.max()):
            amount = kept + np.maximum(peaks, end)
            use.append(np.where(roomy, -np.inf, amount))
            allowance.append(np.where(full, np.inf, amount))

    def _tell(self, pools: list[Labels], entered: Sequence[Labels], stop: int) -> None:
        """Report the least bound of what is open, and drop stages that cannot pay any more."""
        bounds = [np.zeros(0)]
        for device, pool in enumerate(pools):
            if self.arcs.spans:
                first = pool.first
                values = (
                    pool.used @ self.weights
                    - (pool.paid * self.behind_reduced[first]).sum(axis=1)
                    + self.still_open[first, device, stop + 1]
                    - self.offset
                )
                keep = values < self.threshold
                pools[device], values = pool[keep], values[keep]
            else:
                values = self._reduced(pool, "stay", stop, device)
            bounds += [values, self._reduced(entered[device], "enter", stop, device)]
        everything = np.concatenate(bounds)
        if len(everything):
            self.report(min(self.dropped, float(everything.min())))
