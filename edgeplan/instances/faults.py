"""Faults in the user's terms: places as the file has them, words that name the file's keys.

The problem and pydantic judge what the reader made of a file; their places have indices and SI
field names, and their messages are their own.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel

from edgeplan.instances import parts
from edgeplan.instances.document import Place, Plain, show_place
from edgeplan.instances.units import cut
from edgeplan.model.errors import Fault

# The problem's field names and the file's.
_NAMES: Mapping[str, Mapping[str, str]] = {
    "devices": {
        "memory_bytes": "memory",
        "active_watts": "active_power",
        "idle_watts": "idle_power",
        "dollars_per_second": "serverless_price",
        "dollars_per_hour": "provisioned_price",
        "dollars_per_request": "request_fee",
        "dollars_per_joule": "electricity_price",
        "power_budget_watts": "power_budget",
    },
    "links": {
        "source": "from",
        "target": "to",
        "bytes_per_second": "bandwidth",
        "latency_seconds": "latency",
        "send_joules_per_byte": "send_energy",
        "receive_joules_per_byte": "receive_energy",
        "dollars_per_byte": "price",
    },
    "streams": {
        "rate_per_second": "rate",
        "deadline_seconds": "deadline",
        "tail_deadlines": "deadline",
        "max_batch": "batch",
    },
    "objective": {
        "latency_denominator_seconds": "denominators.latency",
        "energy_denominator_joules": "denominators.energy",
        "cost_denominator_dollars": "denominators.cost",
        "throughput_denominator_seconds": "denominators.throughput",
    },
    "budgets": {
        "power_watts": "power",
        "dollars_per_hour": "money",
        "min_rate_per_second": "min_rate",
    },
    "networks": {
        "weight_bytes": "weights",
        "activation_bytes": "activations",
        "bytes": "size",
        "transfer_seconds": "transfer_time",
        "boundary_seconds": "boundary",
        "joules": "energies",
        "dollars": "prices",
        "memory_bytes": "memory",
    },
}


def in_file_terms(
    fault: Fault,
    places: Mapping[str, Sequence[Place]],
    file: parts.InstanceFile,
    streams: Mapping[str, Place],
) -> Fault:
    """Translate a fault of the problem: its places have indices and SI field names.

    Parameters
    ----------
    fault
        What the problem says.
    places
        Where its parts stand in the file, in the problem's order.
    file
        What the file says.
    streams
        Where each stream stands in the file, by name.
    """
    match = re.fullmatch(r"(networks|devices|links|streams)\[(\d+)\]\.?(.*)", fault.place)
    if match is None:
        kind, _, rest = fault.place.partition(".")
        names = _NAMES.get(kind, {})
        return Fault(f"{kind}.{names.get(rest, rest)}" if rest else kind, fault.message)
    kind, rest = match[1], match[3]
    place = places[kind][int(match[2])]
    names = _NAMES[kind]
    if kind == "networks":
        network = file.networks[str(place[1])]
        if isinstance(network, parts.ProfiledNetwork):
            mapping = isinstance(network.profiles, dict)
            device = rest.removeprefix("costs.")
            rest = f"profiles.{device}" if mapping else "profiles"
    if kind == "devices" and rest in ("replicas", "max_replicas"):
        part = list(file.devices.values())[int(match[2])]
        return _replicas_fault(fault, show_place(place), part)
    if kind == "streams" and rest.startswith(("deadline_seconds", "tail_deadlines")):
        stated = [part for name, part in file.streams.items() if streams.get(name) == place]
        return _deadline_fault(fault, show_place(place), rest, stated)
    if kind == "links" and places[kind][int(match[2]) - 1 : int(match[2])] == [place]:
        # The second of two that the file states as one, with `both`: its ends are swapped.
        rest = {"source": "target", "target": "source"}.get(rest, rest)
    head, dot, tail = rest.partition(".")
    inner = names.get(head, head) + dot + tail
    message = fault.message
    for theirs, ours in names.items():
        message = re.sub(rf"\b{theirs}\b", ours, message) if "_" in theirs else message
    return Fault(f"{show_place(place)}.{inner}" if inner else show_place(place), message)


def _replicas_fault(fault: Fault, place: str, part: parts.DevicePart) -> Fault:
    """Translate a fault of a number of replicas, which a file may give as a range."""
    if not isinstance(part.replicas, parts.ReplicasPart):
        return Fault(f"{place}.replicas", fault.message)
    key = "max" if fault.place.endswith("max_replicas") else "min"
    return Fault(f"{place}.replicas.{key}", fault.message.replace("replicas", "min"))


def _deadline_fault(
    fault: Fault, place: str, rest: str, stated: Sequence[parts.StreamPart]
) -> Fault:
    """Translate a fault of a deadline, which a file may give by statistic."""
    deadline = stated[0].deadline if stated else math.inf
    if not isinstance(deadline, dict):
        return Fault(f"{place}.deadline", fault.message)
    if rest == "deadline_seconds":
        return Fault(f"{place}.deadline.mean", fault.message)
    percentiles = [key for key in deadline if parts.probability_of(key) is not None]
    index = re.match(r"tail_deadlines\[(\d+)\]", rest)
    which = f".{percentiles[int(index[1])]}" if index else ""
    return Fault(f"{place}.deadline{which}", fault.message)


def network_place(prefix: Place, place: str, part: parts.InlineNetwork) -> str:
    """Translate a place relative to a network."""
    spans = any(isinstance(cost, parts.SpanCostsPart) for cost in part.costs.values())
    head, dot, last = place.rpartition(".")
    names = {**_NAMES["networks"], "seconds": "spans" if spans else "times"}
    shown = f"{head}{dot}{names.get(last, last)}" if dot else place
    return f"{show_place(prefix)}.{shown}"


def apart(fault: Fault, others: Iterable[Fault]) -> bool:
    """Say whether a fault does not merely follow from values that have faults themselves."""
    items = {_item(other.place) for other in others}
    zones = any(
        re.fullmatch(r"devices[.\[].*?(zone|catalog)|devices[^.]*", o.place) for o in others
    )
    if any(other.place == "waiting" for other in others) and fault.message.endswith("to mg1"):
        return False  # the file's word on waiting could not be read
    return _item(fault.place) not in items and not (zones and ".privacy" in fault.place)


def _item(place: str) -> str:
    match = re.match(r"\w+(?:\.[^.\[]+|\[\d+\])?", place)
    return match[0] if match else place


def mend(tree: dict[str, Plain], place: Place) -> None:
    """Take a faulty value out of the tree, or put a stand-in where one is needed.

    Faults that the stand-ins cause lie on items with faults and are not reported.
    """
    kind = str(place[0]) if place else ""
    container = tree.get(kind)
    if len(place) == 1 or not isinstance(container, dict | list):
        tree.pop(kind, None)
        return
    key = place[1]
    if isinstance(container, dict) and kind in ("networks", "objective", "budgets"):
        container.pop(str(key), None)
        return
    item: Plain = None
    if isinstance(container, dict):
        item = container.get(str(key))
    elif isinstance(key, int) and key < len(container):
        item = container[key]
    if not isinstance(item, dict):
        item = {}
        if isinstance(container, dict):
            container[str(key)] = item
        elif isinstance(key, int):
            container[key] = item
    if len(place) > 2:
        item.pop(str(place[2]), None)
    for needed in {"streams": ("network", "origin"), "links": ("from", "to")}.get(kind, ()):
        item.setdefault(needed, f"?{needed}")
    if kind == "links":
        item.setdefault("bandwidth", "1 MB/s")


_PARTS: Sequence[tuple[str, type[BaseModel]]] = (
    (r"", parts.InstanceFile),
    (r"networks/[^/]*", parts.InlineNetwork),
    (r"networks/[^/]*/profiles/\d+", parts.ProfileUse),
    (r"networks/[^/]*/layers/\d+", parts.LayerPart),
    (r"networks/[^/]*/tensors/\d+", parts.TensorPart),
    (r"networks/[^/]*/costs/[^/]*", parts.LayerCostsPart),
    (r"networks/[^/]*/costs/[^/]*/batches/[^/]*", parts.LayerJobPart),
    (r"devices/[^/]*", parts.DevicePart),
    (r"devices/[^/]*/replicas", parts.ReplicasPart),
    (r"links/\d+", parts.LinkPart),
    (r"streams/[^/]*", parts.StreamPart),
    (r"streams/[^/]*/privacy", parts.PrivacyPart),
    (r"streams/[^/]*/(?:pins|bans)/\d+", parts.RulePart),
    (r"objective", parts.ObjectivePart),
    (r"objective/denominators", parts.DenominatorsPart),
    (r"budgets", parts.BudgetsPart),
)


def unknown_key(place: Place) -> str:
    """Return what to say of a key that its part does not know, with the key that was meant."""
    parent = "/".join(str(part).replace("/", "_") for part in place[:-1])
    for pattern, part in _PARTS:
        if re.fullmatch(pattern, parent):
            known = [field.alias or name for name, field in part.model_fields.items()]
            if cut(place[-1]) in known:
                return "unknown key: it belongs to the other form (times, or spans)"
            close = difflib.get_close_matches(cut(place[-1]), known, 1)
            hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"
            return f"unknown key; {hint}"
    return "unknown key"


_MESSAGES: Mapping[str, str] = {
    "missing": "is missing",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "list_type": "must be a list",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "string_too_short": "must not be empty",
    "finite_number": "must be a finite number",
}


def message_of(kind: str, error: Mapping[str, object]) -> str:
    """Return an error of pydantic in our words, never with a whole value."""
    value = error.get("input")
    shown = "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else ""
    if value is None:
        shown = "nothing"
    elif not shown:
        shown = f"'{cut(str(value).lower() if isinstance(value, bool) else str(value))}'"
    context = error.get("ctx")
    details = context if isinstance(context, dict) else {}
    if kind == "missing":
        return _MESSAGES[kind]
    if kind == "value_error":
        return str(details.get("error", error.get("msg")))
    if kind == "literal_error":
        return f"must be {details.get('expected')}, not {shown}"
    if kind == "string_type":
        quote = "; put it in quotes" if isinstance(value, bool | int | float) else ""
        return f"must be text, not {shown}{quote}"
    if kind in _MESSAGES:
        return f"{_MESSAGES[kind]}, not {shown}" if shown else _MESSAGES[kind]
    return cut(str(error.get("msg"))) + f", not {shown}"
