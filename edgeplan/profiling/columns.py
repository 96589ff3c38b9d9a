"""Measure jobs of several requests: one column of times for each batch size.

A job's requests are stacked along the first dimension of every input, and the network is pinned
for them. A batch size counts only if the network has the same nodes then, so that a cut of the
one is a cut of the other, and if what it makes of a job equals what it makes of the requests one
by one (`edgeplan.profiling.stacking`). Otherwise it is refused, and the others go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeplan.model.errors import NetworkError
from edgeplan.model.graph import Graph
from edgeplan.networks.comparing import DEPLOYED_TOLERANCE
from edgeplan.networks.preparing import prepare
from edgeplan.profiling import noise, store
from edgeplan.profiling.campaign import Campaign
from edgeplan.profiling.samples import Samplings, is_time
from edgeplan.profiling.timing import Effort

MOST_REQUESTS = 1024
"""Largest batch size."""

_REMEDY = (
    "leave this batch size out, or export the network so that its requests lie along the first "
    "dimension of every input and output, of free size"
)


def beside(single: Campaign, requests: int, effort: Effort, sizes: int, before: int) -> Campaign:
    """Return a campaign for jobs of several requests beside that of the single ones.

    Parameters
    ----------
    single
        Measured.
    requests
        In a job, at least 2.
    effort
        How long to measure each span, before a budget lowers it.
    sizes
        How many batch sizes are measured in all.
    before
        Spans of the batch sizes before this one.
    """
    return replace(
        single,
        requests=requests,
        effort=effort,
        prepared=None,
        single=single.prepared,
        spans_before=before,
        sizes=sizes,
        guesses=(),
        # As many as there will be, for progress.
        wanted=single.wanted,
        found=Samplings(),
    )


def measure(
    column: Campaign,
    single: Campaign,
    *,
    folder: Path,
    cache: Path,
    device: str,
    fresh: bool,
) -> None:
    """Measure what the store does not hold yet of jobs of one size.

    Parameters
    ----------
    column
        From `beside`; it is known afterwards.
    single
        Of the single requests, measured.
    folder
        For temporary files.
    cache
        Folder of the store.
    device
        Name of this machine.
    fresh
        Whether to forget what the store holds.

    Raises
    ------
    NetworkError
        If this batch size is refused: the network cannot take it, makes something else of it,
        or meets a limit.
    """
    assert single.prepared is not None
    column.say("prepare", f"pinning {column.path.name[:80]}")
    column.prepared = prepare(
        column.path,
        shapes=dict(single.prepared.source.shapes),
        folder=folder,
        requests=column.requests,
        seconds=column.requests * column.seconds,
    )
    _check_nodes(column, single.graph, column.prepared.graph)
    key = column.key(device, list(single.positions))
    column.heed()
    with store.Store(
        cache,
        key,
        on_wait=lambda: column.say("wait", "another process is measuring this network"),
        stop=column.stop,
    ) as kept:
        if fresh:
            kept.clear()
        column.take_up(kept, key)
        if not any(record.get("kind") == "stacked" for record in kept.records):
            column.say("prepare", "comparing a job with its requests one by one")
            kept.append({"kind": "stacked", "outputs": _compare(column)})
        column.follow(kept, single)
        column.tell_reuse(key)
        column.measure(kept, folder)
    warning = noise.warning(column.times().whole, column.machine)
    if warning is not None:
        column.say("noise", warning)


def refusal(error: NetworkError) -> str:
    """Return in one line why a batch size is refused, and what to do."""
    by_place: dict[str, list[str]] = {}
    for fault in error.faults:
        by_place.setdefault(fault.place, []).append(fault.message)
    said = "; ".join(
        f"{place}: {'; '.join(messages)}" if place else "; ".join(messages)
        for place, messages in by_place.items()
    )
    return f"{said}; {_REMEDY}"


def _check_nodes(column: Campaign, single: Graph, stacked: Graph) -> None:
    """Refuse a network that is another one for a job: its cuts would be others."""
    place = column.path.name[:80]
    if _structure(single) != _structure(stacked):
        raise NetworkError.at(
            place,
            f"with {column.requests} requests it folds to other nodes ({len(stacked.nodes)}, "
            f"{len(single.nodes)} for a single one), so that it cannot be cut alike",
        )
    sizes = {value.name: value.bytes for value in single.values}
    for value in stacked.values:
        alone = sizes.get(value.name)
        if value.bytes is not None and alone is not None and value.bytes > column.requests * alone:
            raise NetworkError.at(
                place,
                f"with {column.requests} requests its value '{value.name[:80]}' takes "
                f"{value.bytes} bytes, more than {column.requests} times the {alone} of a single "
                "one: requests are mixed",
            )


def _structure(graph: Graph) -> list[tuple[object, ...]]:
    return [(node.name, node.op_type, node.inputs, node.outputs) for node in graph.nodes]


def _compare(column: Campaign) -> list[Any]:
    """Return what was compared, or refuse a network that does not keep its requests apart."""
    assert column.prepared is not None
    place = column.path.name[:80]
    found = column.call(
        "edgeplan.profiling.stacking:compare",
        lambda data: None,
        column.memory(),
        single=column.path.absolute(),
        stacked=column.prepared.folded,
        inputs=column.inputs(),
        outputs=column.graph.outputs,
        requests=column.requests,
    )
    if not (isinstance(found, list) and found and all(map(_makes_sense, found))):
        raise NetworkError.at(place, "corrupted the reading process")
    for name, error, _ in found:
        if error is None:
            raise NetworkError.at(
                place,
                f"with {column.requests} requests its output '{name[:80]}' has other sizes than "
                "those of the single requests stacked along the first dimension",
            )
        if error > DEPLOYED_TOLERANCE:
            raise NetworkError.at(
                place,
                f"with {column.requests} requests its output '{name[:80]}' is off by {error:.2g} "
                f"of its scale from that of the single requests (at most {DEPLOYED_TOLERANCE:g}): "
                "its first dimension is no batch, or requests of one job change each other",
            )
    if not any(varies for _, _, varies in found):
        raise NetworkError.at(
            place,
            "makes the same of every random request, so that comparing cannot tell whether a job "
            "keeps its requests apart",
        )
    return found


def _makes_sense(item: object) -> bool:
    if not isinstance(item, Sequence) or len(item) != 3:
        return False
    name, error, varies = item
    return isinstance(name, str) and (error is None or is_time(error)) and isinstance(varies, bool)
