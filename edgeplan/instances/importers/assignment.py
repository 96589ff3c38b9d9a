"""Assignment problems with three objectives: requests to devices, one table per objective.

Sources: the tri-objective assignment instances of G. Kirlik and S. Sayın (EJOR 232, 2014), as
JSON; and a generalised assignment from jump-dev/MultiObjectiveAlgorithms.jl, issue 122, in the
same manner.

The files
    Assignment: ``n``; ``costs[k][i][j]``, objective k = 0, 1, 2 of request i on device j, to be
    minimised. Each device takes one request.
    Generalised assignment: ``profit[k][j][i]`` of item i on device j, to be maximised,
    ``weight[j][i]``, ``capacity[j]``: the weights of a device's items may not exceed it.
    Which of the two a file holds is told by its keys ``costs`` or ``profit``.

The problem here
    Each request is a stream with a network of its own, of one layer, so that no two share
    weights. Objective 0 is its seconds, 1 its joules, 2 its dollars, all stated by the profile;
    the problem's latency, energy and cost are their sums (``aggregate: total``, weights 1, 1, 1).
    An assignment's requests take 1 byte and its devices have 1; a generalised assignment's take
    their weight in bytes, device by device, and its devices have their capacity. Profits become
    costs as `MOST_PROFIT` − profit, so that the least total is n × `MOST_PROFIT` − the most
    profit. All requests arise at a further device ``source``, which can run nothing and whose
    links take no time; nothing waits and no load is limited.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edgeplan.instances.document import Plain
from edgeplan.instances.importers.imported import Imported
from edgeplan.instances.importers.tree import (
    Faults,
    items,
    mapping,
    number,
    positive,
    shown,
    whole,
)
from edgeplan.model.network import Layer, LayerCosts, Network
from edgeplan.model.problem import Device, Link, Objective, Problem, Stream

MOST_PROFIT = 10.0
"""What profits are subtracted from to make costs; a larger profit is refused."""

OBJECTIVE_COUNT = 3

_NUMBERS = (
    "the file has pure numbers: seconds, joules and dollars stand for its three objectives, "
    "bytes for the room on its devices"
)

Tables = Sequence[Sequence[Sequence[float]]]
"""Numbers by objective, request and device."""


def import_assignment(tree: Plain, name: str) -> Imported:
    """Make a problem of an assignment or a generalised assignment; see the module.

    Parameters
    ----------
    tree
        The file's content. Keys that are not needed (``nondominated``, …) are left aside.
    name
        Of the problem.

    Returns
    -------
    Imported
        With devices ``device-1…`` and ``source``, and streams and networks ``request-1…``.

    Raises
    ------
    InputError
        With every fault found: tables of wrong shape, missing, negative or mistyped numbers,
        profits above `MOST_PROFIT`, weights that are not whole.

    Notes
    -----
    Weights must be whole, since bytes are. A capacity counts as met within edgeplan's relative
    1e-6: from a million on, that is a unit of weight.
    """
    faults = Faults()
    root = mapping(tree, "", faults, ())
    faults.check()
    kinds = [key for key in ("costs", "profit") if key in root]
    if len(kinds) != 1:
        faults.note(
            "costs",
            "and profit are both there: an assignment has the one, a generalised one the other"
            if kinds
            else "is missing: an assignment has n and costs, a generalised assignment has "
            "profit, weight and capacity",
        )
        faults.check()
    if kinds == ["costs"]:
        return Imported(problem=_assignment(root, name, faults), notes=(_NUMBERS,))
    problem = _generalised(root, name, faults)
    most = f"{MOST_PROFIT:g}"
    profits = (
        f"profits became costs, {most} − profit in each of the three objectives: the objective is "
        f"{OBJECTIVE_COUNT} × {most} × {len(problem.streams)} − the profit of all three"
    )
    return Imported(problem=problem, notes=(profits, _NUMBERS))


def _assignment(root: Mapping[str, Plain], name: str, faults: Faults) -> Problem:
    _check_sense(root, "min", faults)
    count = whole(root["n"], "n", faults) if "n" in root else None
    if "n" not in root:
        faults.note("n", "is missing")
    elif count is not None and count < 1:
        faults.note("n", f"must be at least 1, but is {shown(count)}")
    faults.check()
    assert count is not None
    costs = _tables(root["costs"], "costs", count, count, faults)
    faults.check()
    ones = [[1] * count] * count
    return _problem(name, costs, ones, [1.0] * count)


def _generalised(root: Mapping[str, Plain], name: str, faults: Faults) -> Problem:
    _check_sense(root, "max", faults)
    mapping(dict(root), "", faults, ("weight", "capacity"))
    faults.check()
    entries = items(root["capacity"], "capacity", faults)
    capacities = [positive(value, f"capacity[{j}]", faults) for j, value in enumerate(entries)]
    known = len(entries) if isinstance(root["capacity"], list) else None
    rows = items(root["weight"], "weight", faults, count=known)
    first = rows[0] if rows else None
    requests = len(first) if isinstance(first, list) else 0
    weights = [
        [
            _weight(value, f"weight[{j}][{i}]", faults)
            for i, value in enumerate(items(row, f"weight[{j}]", faults, count=requests))
        ]
        for j, row in enumerate(rows)
    ]
    for key, found in (("m", len(entries)), ("n", requests)):
        if key in root and whole(root[key], key, faults) not in (None, found):
            faults.note(key, f"is {shown(root[key])}, but capacity and weight have {found}")
    if not requests and not faults:
        faults.note("weight", "at least one device and one item are needed")
    faults.check()
    profits = _tables(
        root["profit"], "profit", len(capacities), requests, faults, largest=MOST_PROFIT
    )
    faults.check()
    costs = [
        [[MOST_PROFIT - table[j][i] for j in range(len(capacities))] for i in range(requests)]
        for table in profits
    ]
    by_request = [[weights[j][i] for j in range(len(capacities))] for i in range(requests)]
    return _problem(name, costs, by_request, capacities)


def _check_sense(root: Mapping[str, Plain], wanted: str, faults: Faults) -> None:
    if root.get("sense", wanted) != wanted:
        faults.note("sense", f"must be '{wanted}' here, not {shown(root['sense'])}")


def _weight(value: Plain, place: str, faults: Faults) -> int:
    found = number(value, place, faults)
    if not found.is_integer():
        faults.note(place, f"must be a whole number, since bytes are; it is {shown(value)}")
    return int(found)


def _tables(
    value: Plain, key: str, rows: int, columns: int, faults: Faults, *, largest: float = math.inf
) -> Tables:
    """Return a table per objective, checked to have the given rows and columns."""
    found = []
    for k, table in enumerate(items(value, key, faults, count=OBJECTIVE_COUNT)):
        lines = []
        for r, row in enumerate(items(table, f"{key}[{k}]", faults, count=rows)):
            place = f"{key}[{k}][{r}]"
            entries = items(row, place, faults, count=columns)
            lines.append(
                [_entry(entry, f"{place}[{c}]", faults, largest) for c, entry in enumerate(entries)]
            )
        found.append(lines)
    return found


def _entry(value: Plain, place: str, faults: Faults, largest: float) -> float:
    found = number(value, place, faults)
    if found > largest:
        faults.note(
            place,
            f"must be at most {largest:g}, but is {shown(value)}: the cost is {largest:g} − "
            "profit, which must not be negative; scale the profits of the objective down",
        )
    return found


def _problem(
    name: str, costs: Tables, weights: Sequence[Sequence[int]], capacities: Sequence[float]
) -> Problem:
    """Return the problem of costs by (objective, request, device) and weights by the last two."""
    devices = [f"device-{j + 1}" for j in range(len(capacities))]
    requests = [f"request-{i + 1}" for i in range(len(weights))]
    seconds, joules, dollars = costs
    alike = [len(set(row)) == 1 for row in weights]
    return Problem(
        name=name,
        networks=tuple(
            Network(
                name=request,
                layers=(Layer(name="whole", weight_bytes=max(weights[i])),),
                tensors=(),
                costs={
                    device: LayerCosts(
                        seconds=(seconds[i][j],),
                        joules=(joules[i][j],),
                        dollars=(dollars[i][j],),
                        memory_bytes=None if alike[i] else (weights[i][j],),
                    )
                    for j, device in enumerate(devices)
                },
            )
            for i, request in enumerate(requests)
        ),
        devices=(
            *(
                Device(name=device, memory_bytes=capacity)
                for device, capacity in zip(devices, capacities, strict=True)
            ),
            Device(name="source", tier="source"),
        ),
        links=tuple(
            Link(source="source", target=device, bytes_per_second=math.inf, contention="none")
            for device in devices
        ),
        streams=tuple(
            Stream(name=request, network=request, origin="source", returns=False)
            for request in requests
        ),
        objective=Objective(latency=1.0, energy=1.0, cost=1.0, aggregate="total"),
        capacity="none",
    )
