"""Profiles: what a network's parts cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeplan.cli import units
from edgeplan.cli.output import clean_text
from edgeplan.cli.tables.table import facts, show

if TYPE_CHECKING:
    from edgeplan.model.profile import Profile


def profile(measured: Profile) -> None:
    """Print what a profile says of a network: counts, whole time, parts, machine."""
    graph, machine = measured.graph, measured.machine
    whole = measured.whole
    facts(
        f"Profile of {clean_text(measured.network)}",
        {
            "file": f"{measured.onnx} ({units.size(graph.file_bytes)}, "
            f"sha256 {measured.sha256[:12]})",
            "device": f"{measured.device} ({measured.basis}: {measured.basis_detail})",
            "nodes": units.count(len(graph.nodes)),
            "placed layers": units.count(len(measured.layers)),
            "cuts": f"{len(graph.cuts)}, {len(graph.single_cuts)} of a single tensor",
            "parameters": f"{units.count(graph.parameters)} ({units.size(graph.weight_bytes)})",
            "multiply-accumulates": units.count(graph.macs)
            + (f" (not counted: {', '.join(graph.uncounted[:8])})" if graph.uncounted else ""),
            "whole": f"{units.seconds(whole.median_seconds)} median, "
            f"MAD {units.seconds(whole.mad_seconds)}, CPU {units.seconds(whole.cpu_seconds)}, "
            f"{units.counted(whole.runs, 'run')}",
            "boundary": units.seconds(measured.boundary_seconds) + " per additional part",
            "energy": "by the device's watts"
            if measured.energy_basis is None
            else measured.energy_basis,
            "machine": f"{machine.cpu}, {units.counted(machine.cores, 'core')}, "
            f"{units.counted(machine.threads, 'thread')}, "
            f"onnxruntime {machine.onnxruntime}, {machine.provider}",
            "made": measured.created,
        },
    )
    rows: list[Sequence[object]] = []
    crossing = {cut.position: cut for cut in graph.cuts}
    stops = (*measured.positions, len(graph.nodes))
    for index, layer in enumerate(measured.layers):
        timing = measured.spans[index][0]
        cut = crossing.get(stops[index]) if index < len(stops) else None
        rows.append(
            (
                index,
                layer.name,
                units.size(layer.weight_bytes),
                units.size(layer.activation_bytes),
                units.seconds(timing.median_seconds),
                units.seconds(timing.mad_seconds),
                timing.basis,
                "" if cut is None else units.size(cut.bytes),
                "" if cut is None else len(cut.tensors) + len(cut.inputs),
            )
        )
    show(
        "Layers",
        (
            ">#", "layer", ">weights", ">peak activation", ">alone", ">MAD", "basis",
            ">bytes after", ">tensors",
        ),
        rows,
    )  # fmt: skip
    _batches(measured)


def _batches(measured: Profile) -> None:
    """Print what jobs of several requests cost, whole and by layer, where that was asked for."""
    refused = [(item.requests, clean_text(item.reason, 600)) for item in measured.refused_batches]
    if measured.batches:
        jobs = [
            (1, measured.whole, measured.boundary_seconds, measured.spans),
            *((b.requests, b.whole, b.boundary_seconds, b.spans) for b in measured.batches),
        ]
        alone = measured.whole.median_seconds
        show(
            "Jobs of several requests, unsplit",
            (
                ">requests", ">job", ">MAD", ">cv²", ">CPU", ">per request", ">to one alone",
                ">boundary",
            ),
            [
                (
                    requests,
                    units.seconds(whole.median_seconds),
                    units.seconds(whole.mad_seconds),
                    f"{whole.cv2:.2g}",
                    units.seconds(whole.cpu_seconds),
                    units.seconds(whole.median_seconds / requests),
                    f"{whole.median_seconds / requests / alone:.2f}" if alone > 0 else "",
                    units.seconds(boundary),
                )
                for requests, whole, boundary, _ in jobs
            ],
        )  # fmt: skip
        show(
            "Layers alone: time of the job (per request)",
            (">#", "layer", *(f">{requests}" for requests, *_ in jobs)),
            [
                (
                    index,
                    layer.name,
                    *(
                        f"{units.seconds(spans[index][0].median_seconds)} "
                        f"({units.seconds(spans[index][0].median_seconds / requests)})"
                        for requests, _, _, spans in jobs
                    ),
                )
                for index, layer in enumerate(measured.layers)
            ],
        )
    if refused:
        show("Batch sizes that were refused", (">requests", "why, and what to do"), refused)
