"""Instance files in: YAML or JSON to a problem, every fault with its place in the user's file.

Faults are gathered in three rounds: what the parser refuses; what single values may not be
(types, units, unknown keys); and what the parts say about each other (the problem's own rules,
profiles that disagree, names that are not there). The last round also runs on the healthy rest
of a file with faults of the second, so that one run shows nearly everything.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from edgeplan.instances import conversion, parts
from edgeplan.instances.document import Place, Plain, check_file, read_document, show_place
from edgeplan.instances.faults import (
    apart,
    in_file_terms,
    mend,
    message_of,
    network_place,
    unknown_key,
)
from edgeplan.instances.instance import Instance
from edgeplan.instances.profiles import check_header, read_profile
from edgeplan.instances.schema import INSTANCE_FORMAT
from edgeplan.instances.units import cut
from edgeplan.model.errors import Fault, InputError
from edgeplan.model.graph import OnnxSource
from edgeplan.model.network import Costs, Layer, Network, Tensor
from edgeplan.model.problem import (
    Budgets,
    Device,
    Link,
    Problem,
)
from edgeplan.model.profile import Profile

_T = TypeVar("_T")

MAX_FAULTS = 100
"""Most faults that one reading reports."""


def read_instance(path: Path) -> Instance:
    """Read an instance.

    Parameters
    ----------
    path
        YAML or (by its suffix ``.json``) JSON file. Profiles and ONNX files are named relative
        to its folder.

    Returns
    -------
    Instance
        The problem, and where the ONNX files are.

    Raises
    ------
    InputError
        With up to `MAX_FAULTS` faults, each with its place (``streams.camera.deadline``) and,
        for YAML, its line.
    """
    document = read_document(path)
    check_header(document.value, INSTANCE_FORMAT)
    assert isinstance(document.value, dict)
    try:
        return _Reader(path, document.value).read()
    except InputError as error:
        lines = {show_place(place): line for place, line in document.lines.items()}
        faults = [_with_line(fault, lines) for fault in error.faults]
        raise InputError(list(dict.fromkeys(faults))[:MAX_FAULTS]) from None


def instance_from_tree(tree: Plain, path: Path) -> Instance:
    """Return the instance of a file's content.

    Parameters
    ----------
    tree
        As `edgeplan.instances.document.read_document` gives it.
    path
        Of the file: profiles and ONNX files are named relative to its folder.

    Raises
    ------
    InputError
        As `read_instance` does, without line numbers.
    """
    check_header(tree, INSTANCE_FORMAT)
    assert isinstance(tree, dict)
    return _Reader(path, tree).read()


def _with_line(fault: Fault, lines: Mapping[str, int]) -> Fault:
    place = fault.place
    while place and place not in lines:
        place = place[: max(place.rfind("."), place.rfind("["), 0)]
    return Fault(fault.place, f"{fault.message} (line {lines[place]})") if place else fault


class _Reader:
    """One reading: gathers faults while the problem is put together."""

    def __init__(self, path: Path, tree: dict[str, Plain]) -> None:
        self._path = path
        self._folder = Path(os.path.abspath(path)).parent  # noqa: PTH100  # keeps symlinks
        self._tree = tree
        self._faults: list[Fault] = []
        # Where the named items stand in the file: devices.cam, or devices[2] in a list.
        self._places: dict[str, dict[str, Place]] = {}
        self._profiles: dict[Path, Profile | None] = {}
        self._entries: dict[str, str | None] = {}
        self._sources: dict[str, OnnxSource] = {}
        self._predicted: set[str] = set()

    def read(self) -> Instance:
        tree = dict(self._tree)
        for kind in ("devices", "streams", "networks"):
            tree[kind] = self._named(kind, tree.get(kind))
            if tree[kind] is None:
                del tree[kind]
        file, broken = self._validated(tree)
        if file is None:
            raise InputError(self._faults)
        shape_faults = tuple(self._faults)
        problem, left_out = self._problem(file, broken)
        if shape_faults:
            self._faults = [
                *shape_faults,
                *(f for f in self._faults[len(shape_faults) :] if apart(f, shape_faults)),
            ]
        names = re.compile(r"devices(\[\d+\](\.name)?)?")
        if not any(names.fullmatch(fault.place) for fault in shape_faults):
            self._faults += self._strangers(left_out, list(file.devices))
        if self._faults or problem is None:
            raise InputError(self._faults)
        predicted = tuple(d.name for d in problem.devices if d.name in self._predicted)
        return Instance(problem, self._sources, self._path, predicted)

    # --- the shape of the file ------------------------------------------------------------------

    def _named(self, kind: str, value: Plain) -> Plain:
        """Return a list of items with names as a mapping, remembering where each stood."""
        places = self._places.setdefault(kind, {})
        if isinstance(value, dict):
            places.update({name: (kind, name) for name in value})
        if not isinstance(value, list) or kind == "networks":
            return value
        items: dict[str, Plain] = {}
        for index, item in enumerate(value):
            place = show_place((kind, index))
            if not isinstance(item, dict):
                self._faults.append(Fault(place, "must be a mapping with a name"))
                continue
            name = item.get("name")
            if not isinstance(name, str) or not name:
                what = "is missing" if name is None else "must be text that is not empty"
                self._faults.append(Fault(f"{place}.name", what))
            elif name in items:
                self._faults.append(Fault(f"{place}.name", f"'{cut(name)}' is there twice"))
            else:
                items[name] = {key: part for key, part in item.items() if key != "name"}
                places[name] = (kind, index)
        return items

    def _validated(
        self, tree: dict[str, Plain]
    ) -> tuple[parts.InstanceFile | None, frozenset[str]]:
        """Return the file's parts and the networks left out for their faults.

        Values with faults are replaced by defaults, so that the rest can be judged too; the
        result is ``None`` where that does not work.
        """
        try:
            return parts.InstanceFile.model_validate(tree), frozenset()
        except ValidationError as error:
            locations = self._note(error)
        healthy = copy.deepcopy(tree)
        for location in locations:
            mend(healthy, location)
        broken = frozenset(
            str(place[1]) for place in locations if len(place) > 1 and place[0] == "networks"
        )
        try:
            return parts.InstanceFile.model_validate(healthy), broken
        except ValidationError:
            return None, broken

    def _note(self, error: ValidationError) -> list[Place]:
        """Add the faults of a validation; return their places in the normalised tree."""
        locations = []
        for item in error.errors(include_url=False):
            place = tuple(part for part in item["loc"] if part not in parts.TAGS)
            key = item["type"] == "extra_forbidden"
            locations.append(place)
            shown = show_place(self._in_file(place))
            message = unknown_key(place) if key else message_of(item["type"], item)
            self._faults.append(Fault(shown, message))
        return locations

    def _in_file(self, place: Place) -> Place:
        if len(place) > 1 and str(place[0]) in self._places:
            known = self._places[str(place[0])].get(str(place[1]))
            if known is not None:
                return (*known, *place[2:])
        return place

    # --- from parts to a problem ----------------------------------------------------------------

    def _strangers(self, left_out: Iterable[str], devices: Sequence[str]) -> Iterator[Fault]:
        """Yield the devices that networks with faults of their own name and that are not there.

        The problem, which is built without those networks, cannot say so.
        """
        networks = self._tree.get("networks")
        if not isinstance(networks, dict):
            return
        known = ", ".join(sorted(map(cut, devices))[:12]) or "none"
        for name in sorted(left_out):
            network = networks.get(name)
            if not isinstance(network, dict):
                continue
            for key in ("costs", "profiles"):
                named = network.get(key)
                for device in named if isinstance(named, dict) else ():
                    if device not in devices:
                        place = show_place(("networks", name, key, device))
                        yield Fault(place, f"there is no device '{cut(device)}'; known: {known}")

    def _problem(
        self, file: parts.InstanceFile, broken: frozenset[str]
    ) -> tuple[Problem | None, frozenset[str]]:
        """Return the problem, or ``None``, and the networks left out for their faults."""
        self._entries = {name: part.catalog for name, part in file.devices.items()}
        networks = [
            network
            for name, part in file.networks.items()
            if (network := self._network(name, part)) is not None
        ]
        left_out = broken | (set(file.networks) - {network.name for network in networks})
        problem: Problem | None = None
        devices = [self._device(name, part) for name, part in file.devices.items()]
        links: list[Link] = []
        link_places: list[Place] = []
        for index, part in enumerate(file.links):
            made = self._links(index, part)
            links += made
            link_places += [("links", index)] * len(made)
        streams = {
            name: conversion.stream(name, part, self._places["streams"][name], self._faults)
            for name, part in file.streams.items()
        }
        # A stream whose network was left out cannot be judged.
        judged = {
            name: stream for name, stream in streams.items() if stream.network not in left_out
        }
        names = {
            "networks": [self._places["networks"][network.name] for network in networks],
            "devices": [self._places["devices"][device.name] for device in devices],
            "links": link_places,
            "streams": [self._places["streams"][name] for name in judged],
        }
        try:
            problem = Problem(
                name=file.name or self._file_name(),
                networks=tuple(networks),
                devices=tuple(devices),
                links=tuple(links),
                streams=tuple(judged.values()),
                objective=conversion.objective(file.objective),
                budgets=Budgets(
                    power_watts=file.budgets.power,
                    dollars_per_hour=file.budgets.money,
                    min_rate_per_second=file.budgets.min_rate,
                ),
                capacity=file.capacity,
                waiting=file.waiting,
                contiguous=file.contiguous,
            )
        except InputError as error:
            empty = {
                kind
                for kind, there in (("networks", file.networks), ("streams", file.streams))
                if there or broken
            }
            known = ", ".join(sorted(map(cut, file.networks))[:12])
            for fault in error.faults:
                if fault.place in empty:
                    continue
                told = in_file_terms(fault, names, file, self._places["streams"])
                if left_out and re.fullmatch(r"streams\[\d+\]\.network", fault.place):
                    # The problem was built without the networks that have faults.
                    told = Fault(told.place, f"{told.message.split('; known')[0]}; known: {known}")
                self._faults.append(told)
        return problem, left_out

    def _file_name(self) -> str:
        """Return what to call an instance that does not name itself."""
        stem = self._path.stem
        return (self._folder.name if stem == "instance" else "") or stem or "problem"

    def _device(self, name: str, part: parts.DevicePart) -> Device:
        base = Device(name=name)
        if part.catalog is not None:
            from edgeplan.instances import catalogue

            try:
                base = catalogue.to_device(catalogue.device(part.catalog), name)
            except InputError as error:
                place = (*self._places["devices"][name], "catalog")
                self._faults += [Fault(show_place(place), f.message) for f in error.faults]
        pick = _Pick(part.model_fields_set)
        stated = part.replicas
        fewest = stated.fewest if isinstance(stated, parts.ReplicasPart) else stated
        most = stated.most if isinstance(stated, parts.ReplicasPart) else None
        return Device(
            name=name,
            tier=pick("tier", part.tier, base.tier),
            zone=pick("zone", part.zone, base.zone),
            memory_bytes=pick("memory", part.memory, base.memory_bytes),
            active_watts=pick("active_power", part.active_power, base.active_watts),
            idle_watts=pick("idle_power", part.idle_power, base.idle_watts),
            charge_idle=pick("charge_idle", part.charge_idle, base.charge_idle),
            dollars_per_second=pick(
                "serverless_price", part.serverless_price, base.dollars_per_second
            ),
            dollars_per_hour=pick(
                "provisioned_price", part.provisioned_price, base.dollars_per_hour
            ),
            dollars_per_request=pick("request_fee", part.request_fee, base.dollars_per_request),
            dollars_per_joule=pick(
                "electricity_price", part.electricity_price, base.dollars_per_joule
            ),
            replicas=pick("replicas", fewest, base.replicas),
            max_replicas=pick("replicas", most, base.max_replicas),
            dispatch=part.dispatch,
            utilisation_cap=pick("utilisation_cap", part.utilisation_cap, base.utilisation_cap),
            power_budget_watts=pick("power_budget", part.power_budget, base.power_budget_watts),
            transfers=part.transfers,
        )

    def _links(self, index: int, part: parts.LinkPart) -> list[Link]:
        base = Link(source=part.source, target=part.target, bytes_per_second=part.bandwidth)
        given = "bandwidth" in part.model_fields_set
        if part.catalog is not None:
            from edgeplan.instances import catalogue

            try:
                entry = catalogue.link(part.catalog)
                if entry.bytes_per_second is None and not given:
                    place = show_place(("links", index, "bandwidth"))
                    message = "the catalogue entry has none; write it like '20 Mbit/s'"
                    self._faults.append(Fault(place, message))
                else:
                    base = (
                        catalogue.to_link(
                            entry, part.source, part.target, bytes_per_second=part.bandwidth
                        )
                        if given
                        else catalogue.to_link(entry, part.source, part.target)
                    )
            except InputError as error:
                place = show_place(("links", index, "catalog"))
                self._faults += [Fault(place, fault.message) for fault in error.faults]
        elif not given:
            message = "is missing; write it like '20 Mbit/s', or name a catalog entry"
            self._faults.append(Fault(show_place(("links", index, "bandwidth")), message))
        pick = _Pick(part.model_fields_set)
        link = Link(
            source=part.source,
            target=part.target,
            bytes_per_second=base.bytes_per_second,
            latency_seconds=pick("latency", part.latency, base.latency_seconds),
            send_joules_per_byte=pick("send_energy", part.send_energy, base.send_joules_per_byte),
            receive_joules_per_byte=pick(
                "receive_energy", part.receive_energy, base.receive_joules_per_byte
            ),
            dollars_per_byte=pick("price", part.price, base.dollars_per_byte),
            utilisation_cap=pick("utilisation_cap", part.utilisation_cap, base.utilisation_cap),
            contention=part.contention,
        )
        back = dataclasses.replace(link, source=link.target, target=link.source)
        return [link, back] if part.both else [link]

    # --- networks -------------------------------------------------------------------------------

    def _network(
        self, name: str, part: parts.ProfiledNetwork | parts.InlineNetwork
    ) -> Network | None:
        if isinstance(part, parts.InlineNetwork):
            return self._inline(name, part)
        return self._profiled(name, part)

    def _source(
        self,
        name: str,
        onnx: str | None,
        sha256: str,
        shapes: tuple[tuple[str, tuple[int, ...]], ...],
    ) -> None:
        if onnx is None:
            return
        path = self._folder / onnx
        place = show_place(("networks", name, "onnx"))
        try:
            check_file(path)
        except InputError as error:
            self._faults += [Fault(place, f"{cut(onnx)}: {f.message}") for f in error.faults]
            return
        absolute = os.path.normpath(path)
        self._sources[name] = OnnxSource(path=absolute, sha256=sha256, shapes=shapes)

    def _inline(self, name: str, part: parts.InlineNetwork) -> Network | None:
        index = {layer.name: position for position, layer in enumerate(part.layers)}
        before = len(self._faults)

        def position(layer: str, *place: str | int) -> int:
            if layer not in index:
                close = difflib.get_close_matches(layer, index, 1)
                hint = f"; did you mean '{cut(close[0])}'?" if close else ""
                self._faults.append(
                    Fault(
                        show_place(("networks", name, "tensors", *place)),
                        f"there is no layer '{cut(layer)}'{hint}",
                    )
                )
            return index.get(layer, 0)

        tensors = tuple(
            Tensor(
                name=tensor.name,
                bytes=tensor.size,
                producer=(
                    None
                    if tensor.producer is None
                    else position(tensor.producer, number, "producer")
                ),
                consumers=tuple(
                    sorted(
                        position(layer, number, "consumers", entry)
                        for entry, layer in enumerate(tensor.consumers)
                    )
                ),
                output=tensor.output,
                transfer_seconds=tensor.transfer_time,
            )
            for number, tensor in enumerate(part.tensors)
        )
        self._source(
            name,
            part.onnx,
            part.sha256 or "",
            tuple((key, tuple(shape)) for key, shape in part.shapes.items()),
        )
        if part.onnx is None and (part.sha256 or part.shapes):
            message = "sha256 and shapes belong to an ONNX file; name it with onnx"
            self._faults.append(Fault(show_place(("networks", name)), message))
        faulty = len(self._faults) > before
        layers = tuple(
            Layer(name=layer.name, weight_bytes=layer.weights, activation_bytes=layer.activations)
            for layer in part.layers
        )
        costs = {
            device: conversion.costs(cost, ("networks", name, "costs", device), self._faults)
            for device, cost in part.costs.items()
        }
        try:
            # Tensors with faults say nothing about the rest, which is judged without them.
            network = Network(name, layers, () if faulty else tensors, costs)
            return None if faulty else network
        except InputError as error:
            self._faults += [
                Fault(network_place(("networks", name), fault.place, part), fault.message)
                for fault in error.faults
            ]
            return None

    def _profiled(self, name: str, part: parts.ProfiledNetwork) -> Network | None:
        before = len(self._faults)
        place: Place = ("networks", name, "profiles")
        uses: list[tuple[Place, str, str]] = []
        if isinstance(part.profiles, dict):
            uses = [((*place, device), file, device) for device, file in part.profiles.items()]
        else:
            for number, use in enumerate(part.profiles):
                devices: Sequence[str] = use.devices
                if not devices:
                    profile = self._profile((*place, number, "file"), use.file)
                    devices = [profile.device] if profile else []
                uses += [((*place, number, "file"), use.file, device) for device in devices]
        if not uses and len(self._faults) == before:
            self._faults.append(Fault(show_place(place), "at least one profile is needed"))
        first: Profile | None = None
        costs: dict[str, Costs] = {}
        for where, file, device in uses:
            profile = self._profile(where, file)
            if profile is None:
                continue
            if device in costs:
                message = f"'{cut(device)}' has two profiles"
                self._faults.append(Fault(show_place(where), message))
            first = first or profile
            differs = _difference(first, profile)
            if differs:
                message = (
                    f"{cut(file)} was made of another network or cut: its {differs} "
                    "differ from the first profile's; profile again at the same cuts, "
                    "with `edgeplan profile --cuts-from` and the first profile's file"
                )
                self._faults.append(Fault(show_place(where), message))
            entry = self._entries.get(device)
            if profile.basis == "predicted" and entry not in (None, profile.device):
                message = (
                    f"{cut(file)} was predicted for '{cut(profile.device)}', but "
                    f"'{cut(device)}' is a '{entry}'; predict it with --device {entry}"
                )
                self._faults.append(Fault(show_place(where), message))
            costs[device] = profile.costs()
            if profile.basis == "predicted":
                self._predicted.add(device)
        if first is not None:
            self._source(name, part.onnx, first.sha256, first.shapes)
        if first is None or len(self._faults) > before:
            return None
        return Network(name, first.layers, first.tensors, costs)

    def _profile(self, place: Place, file: str) -> Profile | None:
        path = self._folder / file
        if path not in self._profiles:
            self._profiles[path] = None
            try:
                self._profiles[path] = read_profile(path)
            except InputError as error:
                # One fault of the instance for each of the profile, which has its own places.
                for fault in error.faults[:10]:
                    inner = f"{fault.place}: " if fault.place and fault.place != str(path) else ""
                    message = f"{cut(file)}: {inner}{fault.message}"
                    self._faults.append(Fault(show_place(place), message))
        return self._profiles[path]


class _Pick:
    """Chooses what the file states over what the catalogue (or a default) gives."""

    def __init__(self, given: set[str]) -> None:
        self._given = given

    def __call__(self, key: str, stated: _T, other: _T) -> _T:
        return stated if key in self._given else other


def _difference(first: Profile, other: Profile) -> str:
    """Return what two profiles of one network disagree about, in words."""
    keys = ("sha256", "shapes", "positions", "layers", "tensors")
    return ", ".join(key for key in keys if getattr(first, key) != getattr(other, key))
