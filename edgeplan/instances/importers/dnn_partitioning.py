"""Graphs of msr-fiddle/dnn-partitioning: throughput on K accelerators and C cores.

Source: https://github.com/msr-fiddle/dnn-partitioning, MIT; *Efficient Algorithms for Device
Placement of DNN Graph Operators*, NeurIPS 2020.

The file
    ``maxFPGAs`` = K accelerators with ``maxSizePerFPGA`` bytes each, ``maxCPUs`` = C cores;
    ``nodes[]``: ``id``, ``name``, ``supportedOnFpga``, ``cpuLatency`` and ``fpgaLatency`` (ms),
    ``size`` (bytes on an accelerator), ``isBackwardNode``, ``colorClass`` (nodes of one colour
    share a device); ``edges[]``: ``sourceId``, ``destId``, ``cost`` (ms to move the *source's*
    output between an accelerator and the cores' memory), ``size`` (its bytes).

The problem there
    Every node on one device, at most ``maxSizePerFPGA`` bytes on an accelerator. The load of a
    core is Σ ``cpuLatency`` of its nodes. The load of an accelerator that holds the set S is
    Σ ``fpgaLatency`` over S, plus the cost of each node outside S with a successor in S (once),
    plus the cost of each node in S with a successor outside S (once). Minimise the largest load.
    *Contiguous* adds that each device's set is convex and the quotient of devices acyclic.

The problem here
    One stream at 1 request/s, objective throughput (seconds per request): accelerators
    ``occupy`` with the memory limit, cores ``free_port`` without one, layer times that add up,
    links between every two devices that take no time of their own, tensors that state their
    seconds, colours as layers that share a device. Graph inputs and outputs do not move.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeplan.instances.document import Plain
from edgeplan.instances.importers.imported import Imported
from edgeplan.instances.importers.tree import (
    Faults,
    flag,
    items,
    mapping,
    number,
    positive,
    shown,
    whole,
)
from edgeplan.instances.units import cut
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.problem import Device, Link, Objective, Problem, Stream

MAX_DEVICES = 200
"""Most accelerators and cores together: every two of them are linked."""

_HEADER = ("maxFPGAs", "maxCPUs", "maxSizePerFPGA", "nodes", "edges")
_NODE = ("id", "supportedOnFpga", "cpuLatency", "fpgaLatency", "size")
_EDGE = ("sourceId", "destId", "cost")


@dataclass(frozen=True, kw_only=True)
class _Node:
    """A node as the file has it, times in seconds; ``place`` is where."""

    place: str
    identity: int | None
    name: str
    supported: bool
    core_seconds: float
    accelerator_seconds: float
    size_bytes: int
    rounded: bool
    backward: bool
    colour: int | None

    @property
    def shown(self) -> str:
        named = f"'{cut(self.name)}' " if self.name else ""
        return f"{named}(id {shown(self.identity)})"


@dataclass(frozen=True, kw_only=True)
class _Output:
    """What a node makes: who reads it (node indices), and what it costs to move."""

    readers: tuple[int, ...]
    seconds: float
    size_bytes: int


def import_dnn_partitioning(tree: Plain, name: str) -> Imported:
    """Make a problem of a dnn-partitioning file; the module says what becomes what.

    Parameters
    ----------
    tree
        The file's content. Keys that the format does not need are left aside.
    name
        Of the problem and its network.

    Returns
    -------
    Imported
        With devices ``accelerator-1…K`` and ``core-1…C``, a layer for each node in a stable
        topological order, named as the node where that is unique and with its id added where
        not, and one stream ``requests`` from the first core (else the first accelerator).

    Raises
    ------
    InputError
        With every fault found: missing, negative or mistyped values, ids twice or unknown, edges
        twice or in a circle, different costs on the edges out of one node.

    Notes
    -----
    Bytes are rounded up to whole ones. The memory limit counts as met within edgeplan's relative
    1e-6. Forward and backward nodes stay one graph.
    """
    faults = Faults()
    header = mapping(tree, "", faults, _HEADER)
    faults.check()
    accelerators, cores = _counts(header, faults)
    memory_bytes = positive(header["maxSizePerFPGA"], "maxSizePerFPGA", faults)
    entries = items(header["nodes"], "nodes", faults)
    if header["nodes"] == []:
        faults.note("nodes", "at least one is needed")
    nodes = _nodes(entries, faults)
    # A node that could not be identified may be the one that an edge names.
    unsure = not nodes or len(nodes) < len(entries) or any(node.identity is None for node in nodes)
    outputs = _outputs(items(header["edges"], "edges", faults), nodes, faults, unsure=unsure)
    order = _topological(nodes, outputs, faults)
    faults.check()

    devices = (
        *(
            Device(
                name=f"accelerator-{k + 1}",
                tier="accelerator",
                memory_bytes=memory_bytes,
                transfers="occupy",
            )
            for k in range(accelerators)
        ),
        *(Device(name=f"core-{c + 1}", tier="core", transfers="free_port") for c in range(cores)),
    )
    names = _layer_names(nodes)
    stream = Stream(
        name="requests",
        network=name,
        origin="core-1" if cores else "accelerator-1",
        together=_colours(nodes, names, order),
        returns=False,
    )
    problem = Problem(
        name=name,
        networks=(_network(name, nodes, outputs, order, names, devices),),
        devices=devices,
        links=tuple(
            Link(
                source=source.name,
                target=target.name,
                bytes_per_second=math.inf,
                contention="none",
            )
            for source in devices
            for target in devices
            if source is not target
        ),
        streams=(stream,),
        objective=Objective(latency=0.0, throughput=1.0),
        capacity="none",
    )
    backward = sum(node.backward for node in nodes)
    notes = []
    if backward:
        notes.append(
            f"{backward} of {len(nodes)} nodes belong to the backward pass: forward and backward "
            "parts are one graph here"
        )
    if any(node.rounded for node in nodes):
        notes.append(
            "sizes that are not whole were rounded up to whole bytes: where the nodes just fit "
            "the memory of an accelerator, they may not any more"
        )
    return Imported(problem=problem, notes=tuple(notes))


def _counts(header: Mapping[str, Plain], faults: Faults) -> tuple[int, int]:
    """Return how many accelerators and cores there are."""
    found = []
    for key in ("maxFPGAs", "maxCPUs"):
        count = whole(header[key], key, faults)
        if count is not None and not 0 <= count <= MAX_DEVICES:
            faults.note(key, f"must be from 0 to {MAX_DEVICES}, but is {shown(count)}")
            count = None
        found.append(count)
    accelerators, cores = found
    if accelerators == cores == 0:
        faults.note("maxFPGAs", "and maxCPUs are both 0: there is no device")
    elif accelerators is not None and cores is not None and accelerators + cores > MAX_DEVICES:
        faults.note("maxFPGAs", f"and maxCPUs must be at most {MAX_DEVICES} together")
    return accelerators or 0, cores or 0


def _nodes(entries: Sequence[Plain], faults: Faults) -> list[_Node]:
    nodes = []
    seen: dict[int, str] = {}
    for index, entry in enumerate(entries):
        place = f"nodes[{index}]"
        part = mapping(entry, place, faults, _NODE)
        if not part:
            continue
        identity = whole(part["id"], f"{place}.id", faults)
        if identity in seen:
            faults.note(f"{place}.id", f"{shown(identity)} is the id of {seen[identity]} as well")
            identity = None
        elif identity is not None:
            seen[identity] = place
        name = part.get("name")
        if name is not None and not isinstance(name, str):
            faults.note(f"{place}.name", f"must be text, not {shown(name)}")
        colour = part.get("colorClass")
        nodes.append(
            _Node(
                place=place,
                identity=identity,
                name=name if isinstance(name, str) else "",
                supported=flag(part["supportedOnFpga"], f"{place}.supportedOnFpga", faults),
                core_seconds=_milliseconds(part["cpuLatency"], f"{place}.cpuLatency", faults),
                accelerator_seconds=_milliseconds(
                    part["fpgaLatency"], f"{place}.fpgaLatency", faults
                ),
                size_bytes=math.ceil(size := number(part["size"], f"{place}.size", faults)),
                rounded=not float(size).is_integer(),
                backward=flag(part.get("isBackwardNode", False), f"{place}.isBackwardNode", faults),
                colour=None if colour is None else whole(colour, f"{place}.colorClass", faults),
            )
        )
    return nodes


def _milliseconds(value: Plain, place: str, faults: Faults) -> float:
    return number(value, place, faults) / 1000


def _outputs(
    entries: Sequence[Plain], nodes: Sequence[_Node], faults: Faults, *, unsure: bool
) -> dict[int, _Output]:
    """Return what each node with successors makes, by node index.

    Where it is ``unsure`` which nodes there are, ids that are not known pass.
    """
    index_of = {node.identity: index for index, node in enumerate(nodes)}
    first: dict[int, tuple[float, str]] = {}
    seen: dict[tuple[int, int], str] = {}
    readers: dict[int, list[int]] = defaultdict(list)
    sizes: dict[int, int] = defaultdict(int)
    for index, entry in enumerate(entries):
        place = f"edges[{index}]"
        part = mapping(entry, place, faults, _EDGE)
        if not part:
            continue
        ends = []
        for key in ("sourceId", "destId"):
            identity = whole(part[key], f"{place}.{key}", faults)
            if identity is not None and identity not in index_of and not unsure:
                faults.note(f"{place}.{key}", f"there is no node with id {shown(identity)}")
            if identity is not None and identity in index_of:
                ends.append(index_of[identity])
        before = len(faults)
        seconds = _milliseconds(part["cost"], f"{place}.cost", faults)
        size = math.ceil(number(part.get("size", 0), f"{place}.size", faults))
        if len(ends) < 2 or len(faults) > before:
            continue
        source, target = ends
        node = nodes[source]
        if source == target:
            faults.note(place, f"leads from node {node.shown} to itself")
            continue
        if (source, target) in seen:
            faults.note(place, f"joins the same nodes as {seen[source, target]}")
            continue
        seen[source, target] = place
        stated, where = first.setdefault(source, (seconds, place))
        if stated != seconds:
            faults.note(
                f"{place}.cost",
                f"differs from that of {where}, also out of node {node.shown}: a node's output "
                "costs the same on all its edges",
            )
        readers[source].append(target)
        sizes[source] = max(sizes[source], size)
    return {
        source: _Output(
            readers=tuple(readers[source]), seconds=first[source][0], size_bytes=sizes[source]
        )
        for source in sorted(readers)
    }


def _topological(
    nodes: Sequence[_Node], outputs: Mapping[int, _Output], faults: Faults
) -> list[int]:
    """Return the node indices in a topological order, earlier in the file first where free.

    Edges that go round in a circle are a fault, which shows one.
    """
    sources: dict[int, set[int]] = {index: set() for index in range(len(nodes))}
    for source, output in outputs.items():
        for reader in output.readers:
            sources[reader].add(source)
    waiting = {index: len(before) for index, before in sources.items()}
    free = [index for index, count in waiting.items() if not count]
    order = []
    while free:
        index = heapq.heappop(free)
        order.append(index)
        del waiting[index]
        for reader in outputs[index].readers if index in outputs else ():
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(free, reader)
    if waiting:
        # Each of these waits for another of them: going backwards must come round.
        path: dict[int, None] = {}
        here = min(waiting)
        while here not in path:
            path[here] = None
            here = min(sources[here] & waiting.keys())
        back = list(path)
        circle = back[back.index(here) :][::-1]
        steps = [nodes[index].shown for index in (*circle, circle[0])]
        told = [*steps[:4], "…", steps[-1]] if len(steps) > 6 else steps
        faults.note("edges", f"go round in a circle of {len(circle)} nodes: {' -> '.join(told)}")
    return order


def _layer_names(nodes: Sequence[_Node]) -> list[str]:
    """Return unique names: the node's own where no other has it, else with its id added."""
    counts = Counter(node.name for node in nodes)
    taken = {name for name, count in counts.items() if count == 1 and name}
    names = []
    for node in nodes:
        name = node.name
        if not name or counts[name] > 1:
            name = name or "node"
            while True:
                name = f"{name}-{node.identity}"
                if name not in taken:
                    break
            taken.add(name)
        names.append(name)
    return names


def _colours(
    nodes: Sequence[_Node], names: Sequence[str], order: Sequence[int]
) -> tuple[tuple[str, ...], ...]:
    """Return the layers of each colour that two or more nodes have."""
    groups: dict[int, list[str]] = defaultdict(list)
    for index in order:
        colour = nodes[index].colour
        if colour is not None:
            groups[colour].append(names[index])
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def _network(
    name: str,
    nodes: Sequence[_Node],
    outputs: Mapping[int, _Output],
    order: Sequence[int],
    names: Sequence[str],
    devices: Sequence[Device],
) -> Network:
    rank = {index: place for place, index in enumerate(order)}
    on_accelerator = LayerCosts(
        seconds=tuple(
            nodes[index].accelerator_seconds if nodes[index].supported else math.inf
            for index in order
        )
    )
    # The limit is the accelerators' alone: on a core a layer takes none of it.
    on_core = LayerCosts(
        seconds=tuple(nodes[index].core_seconds for index in order), memory_bytes=(0,) * len(order)
    )
    return Network(
        name=name,
        layers=tuple(
            Layer(name=names[index], weight_bytes=nodes[index].size_bytes) for index in order
        ),
        tensors=tuple(
            Tensor(
                name=names[index],
                bytes=outputs[index].size_bytes,
                producer=rank[index],
                consumers=tuple(sorted(rank[reader] for reader in outputs[index].readers)),
                transfer_seconds=outputs[index].seconds,
            )
            for index in order
            if index in outputs
        ),
        costs={
            device.name: on_accelerator if device.tier == "accelerator" else on_core
            for device in devices
        },
    )
