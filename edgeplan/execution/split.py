"""Split each network as a plan says: the parts as ONNX files, and a manifest of them.

The parts are cut from the folded network, which is the one that was profiled, so what runs is
what was measured. Parts that are equal are written once. File names are made from the names of
networks and layers, which are untrusted: only letters, digits, dot, dash and underscore remain.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeplan.execution.protocol import WIRE_DTYPES, TensorSpec
from edgeplan.model.errors import Fault, InputError
from edgeplan.model.graph import OnnxSource, Value
from edgeplan.model.network import Network, stages
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem

MANIFEST = "manifest.json"
FORMAT = 1
PREPARE_SECONDS = 60.0
_MANIFEST_LIMIT_BYTES = 16 << 20
_NAME = r"(?![._-])[A-Za-z0-9._-]+"
_PART_FILE = re.compile(
    rf'"file": "([0-9]{{2,}}-{_NAME}/(?:whole|[0-9]{{3,}}-[0-9]{{3,}}-{_NAME})\.onnx)"'
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A run of layers of a network as an ONNX file.

    Parameters
    ----------
    network
        Name of the network.
    first, stop
        It holds layers ``first`` to ``stop - 1``.
    path
        The file.
    sha256
        Hash of its bytes, hexadecimal.
    inputs, outputs
        Its tensors.
    """

    network: str
    first: int
    stop: int
    path: Path
    sha256: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True, kw_only=True)
class SplitNetwork:
    """A network that is run.

    Parameters
    ----------
    name
        Of the network.
    whole
        The folded network, not split.
    parts
        By (first, stop).
    specs
        Type and shape of every tensor that the planner knows, by name.
    """

    name: str
    whole: Part
    parts: Mapping[tuple[int, int], Part]
    specs: Mapping[str, TensorSpec]


@dataclass(frozen=True, kw_only=True)
class SplitResult:
    """What `split` wrote.

    Parameters
    ----------
    folder
        Holds the files.
    manifest
        The manifest's path.
    networks
        By name.
    """

    folder: Path
    manifest: Path
    networks: Mapping[str, SplitNetwork]

    @property
    def parts(self) -> Iterator[Part]:
        """Every part of every network, the whole networks left out."""
        for network in self.networks.values():
            yield from network.parts.values()


def split(
    problem: Problem, plan: Plan, sources: Mapping[str, OnnxSource], folder: Path
) -> SplitResult:
    """Write the parts of every route's stages, the whole folded networks, and a manifest.

    Parameters
    ----------
    problem
        Has the networks.
    plan
        Has the routes.
    sources
        ONNX file of each network, by the network's name.
    folder
        Where to write; made if absent. The parts that an earlier split left there, as its
        manifest names them, are replaced or removed; other files stay.

    Returns
    -------
    SplitResult
        What was written.

    Raises
    ------
    InputError
        If the plan does not speak of the problem, a file is missing or is not the one that was
        profiled (wrong model hash), or its tensors are not those of the problem's network.
    NetworkError
        If a file is not safe or not valid.
    """
    plan.check(problem)
    spans: dict[str, set[tuple[int, int]]] = {}
    for stream in problem.streams:
        for route in plan.routes[stream.name]:
            spans.setdefault(stream.network, set()).update(
                (first, stop) for _, first, stop in stages(route.devices)
            )
    _check_sources(spans, sources)
    folder.mkdir(parents=True, exist_ok=True)
    earlier = _earlier_parts(folder)
    networks: dict[str, SplitNetwork] = {}
    with tempfile.TemporaryDirectory(prefix=".split-", dir=folder) as scratch:
        for index, (name, wanted) in enumerate(spans.items()):
            target = folder / f"{index:02d}-{safe_name(name)}"
            networks[name] = _split_network(
                problem.network[name], sources[name], sorted(wanted), target, Path(scratch)
            )
    manifest = folder / MANIFEST
    _write(manifest, json.dumps(_manifest(problem, plan, sources, networks, folder), indent=1))
    written = {part.path for network in networks.values() for part in network.parts.values()}
    written.update(network.whole.path for network in networks.values())
    for path in earlier - written:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty: something else is there
            path.parent.rmdir()
    return SplitResult(folder=folder, manifest=manifest, networks=networks)


def _earlier_parts(folder: Path) -> set[Path]:
    """Return the parts that the manifest of an earlier split names and this module could write.

    A manifest is a file like any other: only plain files just two levels below the folder, with
    names as `_part_name` makes them, are taken for parts.
    """
    try:
        with (folder / MANIFEST).open("rb") as file:
            text = file.read(_MANIFEST_LIMIT_BYTES).decode()
    except (OSError, UnicodeDecodeError):
        return set()
    if '"kind": "split"' not in text:
        return set()
    names = {match[1] for match in _PART_FILE.finditer(text)}
    return {
        path
        for name in names
        if (path := folder / name).is_file()
        and not path.is_symlink()
        and not path.parent.is_symlink()
    }


def safe_name(name: str) -> str:
    """Return a name that is safe as a file's: it names no other folder and no hidden file.

    Examples
    --------
    >>> safe_name("../../etc/passwd")
    'etc_passwd'
    >>> safe_name("…")
    'x'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[:40] or "x"


def _check_sources(wanted: Mapping[str, object], sources: Mapping[str, OnnxSource]) -> None:
    faults = []
    for name in wanted:
        place = f"networks.{name[:80]}"
        source = sources.get(name)
        if source is None:
            faults.append(Fault(place, "there is no ONNX file for it: profile it, or name one"))
        elif not Path(source.path).is_file():
            faults.append(Fault(place, f"there is no file '{Path(source.path).name[:80]}'"))
        elif source.sha256 and not _has_digest(Path(source.path), source.sha256):
            faults.append(
                Fault(
                    place,
                    f"wrong model hash: '{Path(source.path).name[:80]}' is not the file that was "
                    "profiled; profile it again",
                )
            )
    if faults:
        raise InputError(faults)


def _has_digest(path: Path, sha256: str) -> bool:
    from edgeplan.networks import digest

    # The digest of a file without external data is its hash: no child is needed to find out.
    return hash_file(path) == sha256 or digest(path) == sha256


def _split_network(
    network: Network,
    source: OnnxSource,
    spans: list[tuple[int, int]],
    target: Path,
    scratch: Path,
) -> SplitNetwork:
    from edgeplan.networks import extract, prepare
    from edgeplan.networks.grouping import part_io

    prepared = prepare(
        source.path, shapes=dict(source.shapes), folder=scratch, seconds=PREPARE_SECONDS
    )
    graph = prepared.graph
    specs = _specs(network, {value.name: value for value in graph.values})
    for name in (*graph.inputs, *graph.outputs):
        if name not in specs:
            raise InputError.at(
                f"networks.{network.name[:80]}.tensors",
                f"the ONNX file's tensor '{name[:80]}' is not among them: profile it again",
            )
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise InputError.at(target.name, "is in the way: remove it or choose another folder")
    target.mkdir(exist_ok=True)
    whole = _part(
        network,
        0,
        len(network.layers),
        _install(prepared.folded, target / "whole.onnx"),
        specs,
        (graph.inputs, graph.outputs),
    )
    parts: dict[tuple[int, int], Part] = {}
    by_hash: dict[str, Path] = {whole.sha256: whole.path}
    for first, stop in spans:
        inputs, outputs = part_io(network.tensors, first, stop)
        if not outputs:
            names = f"{network.layers[first].name} … {network.layers[stop - 1].name}"[:80]
            raise InputError.at(f"networks.{network.name[:80]}", f"layers {names} make nothing")
        if {*inputs} == {*graph.inputs} and {*outputs} == {*graph.outputs}:
            parts[first, stop] = whole
            continue
        made = extract(whole.path, inputs, outputs, scratch / f"{secrets.token_hex(8)}.onnx")
        sha256 = hash_file(made)
        path = by_hash.get(sha256)
        if path is None:
            path = _install(made, target / f"{_part_name(network, first, stop)}.onnx")
            by_hash[sha256] = path
        else:
            made.unlink()
        parts[first, stop] = _part(network, first, stop, path, specs, (inputs, outputs))
    return SplitNetwork(name=network.name, whole=whole, parts=parts, specs=specs)


def _part_name(network: Network, first: int, stop: int) -> str:
    return f"{first:03d}-{stop:03d}-{safe_name(network.layers[first].name)}"


def _part(
    network: Network,
    first: int,
    stop: int,
    path: Path,
    specs: Mapping[str, TensorSpec],
    ends: tuple[tuple[str, ...], tuple[str, ...]],
) -> Part:
    return Part(
        network=network.name,
        first=first,
        stop=stop,
        path=path,
        sha256=hash_file(path),
        inputs=tuple(specs[name] for name in ends[0]),
        outputs=tuple(specs[name] for name in ends[1]),
    )


def _specs(network: Network, values: Mapping[str, Value]) -> dict[str, TensorSpec]:
    """Return every tensor's type and shape; the folded file must have what was profiled."""
    specs: dict[str, TensorSpec] = {}
    faults = []
    for index, tensor in enumerate(network.tensors):
        place = f"networks.{network.name[:80]}.tensors[{index}]"
        value = values.get(tensor.name)
        if value is None:
            text = f"the ONNX file has no tensor '{tensor.name[:80]}': profile it again"
            faults.append(Fault(place, text))
        elif value.shape is None or value.dtype not in WIRE_DTYPES:
            text = f"'{tensor.name[:80]}' has no fixed shape, or a type that cannot be sent"
            faults.append(Fault(place, text))
        elif (spec := TensorSpec(tensor.name, value.dtype, value.shape)).bytes != tensor.bytes:
            text = (
                f"'{tensor.name[:80]}' has {spec.bytes} bytes in the ONNX file, but {tensor.bytes} "
                "in the instance: profile it again with the same shapes"
            )
            faults.append(Fault(place, text))
        else:
            specs[tensor.name] = spec
    if faults:
        raise InputError(faults)
    return specs


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _install(made: Path, destination: Path) -> Path:
    return made.replace(destination)


def _write(path: Path, text: str) -> None:
    from edgeplan.networks.files import replacing

    with replacing(path) as scratch:
        scratch.write_text(text + "\n", encoding="utf-8")


def _manifest(
    problem: Problem,
    plan: Plan,
    sources: Mapping[str, OnnxSource],
    networks: Mapping[str, SplitNetwork],
    folder: Path,
) -> dict[str, object]:
    def part(item: Part) -> dict[str, object]:
        return {
            "file": item.path.relative_to(folder).as_posix(),
            "sha256": item.sha256,
            "bytes": item.path.stat().st_size,
            "inputs": [spec.as_json() for spec in item.inputs],
            "outputs": [spec.as_json() for spec in item.outputs],
        }

    return {
        "format": FORMAT,
        "kind": "split",
        "networks": [
            {
                "name": network.name,
                "sha256": sources[network.name].sha256,
                "whole": part(network.whole),
            }
            for network in networks.values()
        ],
        "streams": [
            {
                "name": stream.name,
                "network": stream.network,
                "routes": [
                    {
                        "fraction": route.fraction,
                        "stages": [
                            {
                                "stage": index,
                                "device": device,
                                "layers": [first, stop],
                                **part(networks[stream.network].parts[first, stop]),
                            }
                            for index, (device, first, stop) in enumerate(stages(route.devices))
                        ],
                    }
                    for route in plan.routes[stream.name]
                ],
            }
            for stream in problem.streams
        ],
    }
