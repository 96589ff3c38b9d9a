"""Everything that is printed for people, as rich tables that fit the width of the terminal."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgeplan.cli import units
from edgeplan.cli.output import clean_text

if TYPE_CHECKING:
    from edgeplan.model.catalogue import CatalogueDevice, CatalogueLink, Figure
    from edgeplan.model.evaluate import Evaluation, Transfer, Violation
    from edgeplan.model.network import Network
    from edgeplan.model.plan import Plan
    from edgeplan.model.problem import Privacy, Problem
    from edgeplan.model.profile import Profile
    from edgeplan.planner import Result

WIDTH_WITHOUT_TERMINAL = 140
LONGEST_TABLE = 60
"""Rows shown of a table that a file may make arbitrarily long."""

_NAMES = frozenset({"device", "figure", "limits", "link", "name", "network", "plan", "stream"})

Justify = Literal["left", "right"]


def console(*, errors: bool = False) -> Console:
    """Return the console of stdout, or of stderr; colours only on a terminal (and NO_COLOR)."""
    stream = sys.stderr if errors else sys.stdout
    width = None
    if not stream.isatty() and not os.environ.get("COLUMNS", "").isdigit():
        width = WIDTH_WITHOUT_TERMINAL
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def say(text: str, style: str = "") -> None:
    """Print a line of results."""
    console().print(Text(clean_text(text, 4000), style=style), soft_wrap=True)


def show(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    footer: str = "",
) -> None:
    """Print a table.

    Parameters
    ----------
    title
        Above it.
    columns
        Headings; one that begins with ``>`` is aligned to the right, one that begins with
        ``?`` (before that) is left out where the terminal is narrow, the last one first.
    rows
        Cells; whatever is not text is printed by ``str``. More than `LONGEST_TABLE` rows are
        cut, and said to be.
    footer
        A line below it.
    """
    every = list(rows)
    cells = [[_cell(value) for value in row] for row in every[:LONGEST_TABLE]]
    out = console()
    kept = _fitting(columns, cells, out.width)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index in kept:
        heading = columns[index].removeprefix("?")
        whole = _in_one_piece(columns[index])
        justify: Justify = "right" if heading.startswith(">") else "left"
        table.add_column(
            heading.removeprefix(">"),
            justify=justify,
            overflow="ellipsis" if whole else "fold",
            no_wrap=whole,
        )
    for row in cells:
        table.add_row(*(row[index] for index in kept))
    out.print(Text(clean_text(title, 200), style="bold"))
    out.print(table)
    if len(every) > LONGEST_TABLE:
        out.print(Text(f"… and {len(every) - LONGEST_TABLE} more", style="dim"))
    if footer:
        out.print(Text(clean_text(footer, 2000)))
    out.print()


def _in_one_piece(column: str) -> bool:
    """Say whether a column holds numbers or names, which are not broken over lines."""
    heading = column.removeprefix("?")
    return heading.startswith(">") or heading in _NAMES


def _fitting(columns: Sequence[str], cells: Sequence[Sequence[Text]], width: int) -> list[int]:
    """Return the columns to show: optional ones go, the last first, until the rest fit."""

    def needed(index: int) -> int:
        heading = columns[index].lstrip("?>")
        longest = max([len(heading), *(row[index].cell_len for row in cells)])
        return min(longest, 40 if _in_one_piece(columns[index]) else 24)

    kept = list(range(len(columns)))
    optional = [index for index in kept if columns[index].startswith("?")]
    while optional and sum(needed(index) + 3 for index in kept) > width:
        kept.remove(optional.pop())
    return kept


def _cell(value: object) -> Text:
    return (
        value
        if isinstance(value, Text)
        else Text(clean_text("" if value is None else str(value), 600))
    )


def facts(title: str, pairs: Mapping[str, object]) -> None:
    """Print names and values below one another."""
    grid = Table(box=None, show_header=False, pad_edge=False)
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    for key, value in pairs.items():
        grid.add_row(Text(clean_text(key, 40)), _cell(value))
    out = console()
    out.print(Text(clean_text(title, 200), style="bold"))
    out.print(grid)
    out.print()


# -- plans --------------------------------------------------------------------------------------


def decision(result: Result) -> None:
    """Print every plan that was considered, the chosen one ticked, then bound, gap and basis."""
    plans = [_Considered(b.name, b.evaluation, b.why) for b in result.baselines]
    if result.chosen is not None and result.chosen not in {plan.name for plan in plans}:
        plans.append(_Considered(result.chosen, result.evaluation, ""))
    chosen = result.chosen
    plans.sort(key=lambda plan: (not plan.is_chosen(chosen), not plan.feasible, plan.price))
    show(
        "Plans considered",
        ("", "plan", ">latency", ">energy", ">cost", ">objective", "limits"),
        (plan.row(plan.is_chosen(chosen)) for plan in plans),
    )
    limits = {plan.name: reason for plan in plans if (reason := plan.reason)}
    if limits:
        facts("Limits that they break", limits)
    pairs: dict[str, object] = {"status": Text(result.status, style=_STYLES[result.status])}
    if result.limit is not None:
        pairs["stopped by"] = "time limit" if result.limit == "time" else "Ctrl-C"
    pairs["objective"] = units.number(result.objective)
    pairs["bound"] = units.number(result.bound)
    pairs["gap"] = units.percent(result.gap)
    if (saved := _saved(result)) is not None:
        pairs["saved"] = saved
    pairs["basis"] = "none" if result.certificate is None else str(result.certificate)
    pairs["solver"] = f"{result.solver} ({result.why})"
    pairs["time"] = units.seconds(result.seconds)
    if result.message:
        pairs["note"] = result.message
    facts("Answer", pairs)


def _saved(result: Result) -> str | None:
    """Say by how much the plan beats the best feasible baseline."""
    prices = [
        (b.evaluation.objective, b.name)
        for b in result.baselines
        if b.feasible and b.evaluation is not None
    ]
    if result.objective is None:
        return None
    if not prices:
        return "no baseline is feasible"
    price, name = min(prices)
    if not price > 0:
        return None
    return f"{units.percent(max(0.0, 1 - result.objective / price))} against {name}"


_STYLES = {"optimal": "green", "feasible": "yellow", "infeasible": "red", "unknown": "red"}


@dataclass(frozen=True)
class _Considered:
    """A row of the decision table."""

    name: str
    evaluation: Evaluation | None
    why: str

    def is_chosen(self, chosen: str | None) -> bool:
        return self.name == chosen

    @property
    def feasible(self) -> bool:
        return self.evaluation is not None and self.evaluation.feasible

    @property
    def price(self) -> float:
        return math.inf if self.evaluation is None else self.evaluation.objective

    @property
    def reason(self) -> str:
        """The first limit that the plan breaks, in words; empty where it breaks none."""
        if self.evaluation is None:
            return self.why or "there is no such plan"
        if self.feasible:
            return ""
        broken, *others = self.evaluation.violations
        more = f" (and {len(others)} more)" if others else ""
        return f"{broken.kind}, {broken.place}: {_broken(broken)}{more}"

    def row(self, chosen: bool) -> Sequence[object]:
        priced = self.evaluation
        kind = "✗" if priced is None or self.feasible else f"✗ {priced.violations[0].kind}"
        return (
            Text("✓" if chosen else "", style="bold green"),
            self.name,
            units.seconds(None if priced is None else priced.latency_seconds),
            units.joules(None if priced is None else priced.energy_joules),
            units.dollars(None if priced is None else priced.cost_dollars),
            units.number(None if priced is None else priced.objective),
            Text("kept", style="green") if self.feasible else Text(kind, style="red"),
        )


def stages(problem: Problem, evaluation: Evaluation) -> None:
    """Print the stages of every stream's routes: what runs where, what it takes."""
    rows: list[Sequence[object]] = []
    for price in evaluation.streams:
        stream = problem.stream[price.name]
        network = problem.network[stream.network]
        for number, route in enumerate(price.routes):
            name = price.name if len(price.routes) == 1 else f"{price.name} #{number + 1}"
            share = units.percent(route.fraction)
            for index, stage in enumerate(route.stages):
                rows.append(
                    (
                        name if index == 0 else "",
                        share if index == 0 else "",
                        stage.device,
                        _layers(network, stage.first, stage.stop),
                        _moved(stage.transfers),
                        units.seconds(math.fsum(t.seconds for t in stage.transfers)),
                        units.seconds(stage.seconds),
                    )
                )
            if route.returned:
                seconds = math.fsum(t.seconds for t in route.returned)
                back = _moved(route.returned)
                rows.append(("", "", stream.origin, "results", back, units.seconds(seconds), ""))
    show(
        "Stages",
        ("stream", "?>share", "device", "layers", "?arrives", ">transfer", ">compute"),
        rows,
    )
    show(
        "Streams",
        ("stream", "?network", "?origin", "?>rate", ">latency", ">deadline", ">energy", ">cost"),
        (
            (
                price.name,
                problem.stream[price.name].network,
                problem.stream[price.name].origin,
                f"{problem.stream[price.name].rate_per_second:.4g} /s",
                units.seconds(price.latency_seconds),
                _limit(units.seconds, problem.stream[price.name].deadline_seconds),
                units.joules(price.energy_joules),
                units.dollars(price.cost_dollars),
            )
            for price in evaluation.streams
        ),
    )


def loads(problem: Problem, evaluation: Evaluation) -> None:
    """Print what a plan asks of devices and links."""
    show(
        "Devices",
        ("device", "tier", "zone", ">busy", ">memory", ">limit", ">power"),
        (
            (
                load.name,
                problem.device[load.name].tier,
                problem.device[load.name].zone,
                units.percent(load.utilisation) if load.on else "off",
                units.size(load.memory_bytes),
                _limit(units.size, problem.device[load.name].memory_bytes),
                units.watts(load.watts),
            )
            for load in evaluation.devices
        ),
    )
    used = [load for load in evaluation.links if load.utilisation or load.bytes_per_second]
    if used:
        show(
            "Links in use",
            ("link", ">busy", ">traffic"),
            (
                (load.name, units.percent(load.utilisation), units.bandwidth(load.bytes_per_second))
                for load in used
            ),
        )


_LIMIT_UNITS: Mapping[str, Callable[[float | None], str]] = {
    "memory": units.size,
    "deadline": units.seconds,
    "device capacity": units.percent,
    "link capacity": units.percent,
    "device power": units.watts,
    "power budget": units.watts,
}


def _broken(violation: Violation) -> str:
    """Return a violation's message, its numbers in the units that people use."""
    unit = _LIMIT_UNITS.get(violation.kind)
    if unit is None or violation.value is None or violation.limit is None:
        return violation.message
    return f"{unit(violation.value)}, but at most {unit(violation.limit)} allowed"


def violations(evaluation: Evaluation) -> None:
    """Print the limits that a plan breaks, or that it breaks none."""
    if evaluation.feasible:
        say("feasible: the plan breaks no limit", "green")
        return
    show(
        "Limits broken",
        ("limit", "place", "what"),
        ((v.kind, v.place, _broken(v)) for v in evaluation.violations),
    )


def plan(made: Plan) -> None:
    """Print a plan without its problem: devices by stage, layers by number."""
    from edgeplan.model.network import stages as stages_of

    show(
        "Routes",
        ("stream", ">share", "stages (layers by number)"),
        (
            (
                name,
                units.percent(route.fraction),
                " → ".join(
                    f"{clean_text(device, 30)} {first}–{stop - 1}"
                    for device, first, stop in stages_of(route.devices)
                ),
            )
            for name, routes in made.routes.items()
            for route in routes
        ),
        footer="edgeplan evaluate INSTANCE PLAN prices it.",
    )


def totals(problem: Problem, evaluation: Evaluation) -> None:
    """Print the aggregated price of a plan."""
    per = "mean per request" if problem.objective.aggregate == "mean" else "sum over streams"
    facts(
        f"Price ({per})",
        {
            "latency": units.seconds(evaluation.latency_seconds),
            "energy": units.joules(evaluation.energy_joules),
            "cost": units.dollars(evaluation.cost_dollars),
            "objective": units.number(evaluation.objective),
        },
    )


def _layers(network: Network, first: int, stop: int) -> str:
    names = [clean_text(layer.name, 34) for layer in network.layers[first:stop]]
    if len(names) == len(network.layers) and len(names) > 1:
        return f"all {len(names)}"
    if len(names) == 1:
        return f"{first}: {names[0]}"
    return f"{first}–{stop - 1}: {names[0]} … {names[-1]}"


def _moved(transfers: Sequence[Transfer]) -> str:
    parts = [f"{units.size(t.bytes)} from {clean_text(t.source, 30)}" for t in transfers]
    return ", ".join(parts)


def _limit(unit: Any, value: float) -> str:
    return units.MISSING if math.isinf(value) else str(unit(value))


# -- instances and profiles ---------------------------------------------------------------------


def instance(problem: Problem) -> None:
    """Print networks, devices, links, streams and objective of a problem."""
    show(
        "Networks",
        ("network", ">layers", ">weights", ">peak activation", "devices with times", "form"),
        (
            (
                network.name,
                len(network.layers),
                units.size(sum(layer.weight_bytes for layer in network.layers)),
                units.size(max(layer.activation_bytes for layer in network.layers)),
                ", ".join(network.costs),
                network.form,
            )
            for network in problem.networks
        ),
    )
    show(
        "Devices",
        (
            "device", "tier", "zone", ">memory", "?>active", "?>idle", "?>replicas",
            "?>$/s", "?>$/hour", "?>$/request", "?>busy at most",
        ),
        (
            (
                device.name,
                device.tier,
                device.zone,
                _limit(units.size, device.memory_bytes),
                units.watts(device.active_watts),
                units.watts(device.idle_watts) + (" charged" if device.charge_idle else ""),
                device.replicas,
                units.dollars(device.dollars_per_second),
                units.dollars(device.dollars_per_hour),
                units.dollars(device.dollars_per_request),
                units.percent(device.utilisation_cap),
            )
            for device in problem.devices
        ),
    )  # fmt: skip
    show(
        "Links",
        (
            "link",
            ">bandwidth",
            ">latency",
            "?>send J/MB",
            "?>receive J/MB",
            "?>$/GB",
            "?contention",
        ),
        (
            (
                link.name,
                units.bandwidth(link.bytes_per_second),
                units.seconds(link.latency_seconds),
                f"{link.send_joules_per_byte * 1e6:.3g}",
                f"{link.receive_joules_per_byte * 1e6:.3g}",
                f"{link.dollars_per_byte * 1e9:.3g}",
                link.contention,
            )
            for link in problem.links
        ),
    )
    show(
        "Streams",
        ("stream", "network", "origin", ">rate", ">deadline", "privacy", "pins and bans"),
        (
            (
                stream.name,
                stream.network,
                stream.origin,
                f"{stream.rate_per_second:.4g} /s",
                _limit(units.seconds, stream.deadline_seconds),
                _privacy(stream.privacy),
                f"{len(stream.pins)} pins, {len(stream.bans)} bans"
                if stream.pins or stream.bans
                else "",
            )
            for stream in problem.streams
        ),
    )
    objective = problem.objective
    parts = [
        f"{weight:g} × {name}" + (f" / {scale:g} {unit}" if scale != 1 else f" [{unit}]")
        for name, unit, weight, scale in (
            ("latency", "s", objective.latency, objective.latency_denominator_seconds),
            ("energy", "J", objective.energy, objective.energy_denominator_joules),
            ("cost", "$", objective.cost, objective.cost_denominator_dollars),
        )
        if weight
    ]
    pairs: dict[str, object] = {
        "minimise": " + ".join(parts),
        "aggregate": objective.aggregate,
        "capacity": problem.capacity,
        "waiting": problem.waiting,
    }
    if not math.isinf(problem.budgets.power_watts):
        pairs["power budget"] = units.watts(problem.budgets.power_watts)
    if not math.isinf(problem.budgets.dollars_per_hour):
        pairs["money budget"] = units.dollars(problem.budgets.dollars_per_hour) + "/h"
    facts("Objective and limits", pairs)


def _privacy(privacy: Privacy | None) -> str:
    if privacy is None:
        return ""
    what = "input" if privacy.before is None else f"all before {privacy.before}"
    return f"{what} stays in {', '.join(privacy.zones)}"


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
            f"{whole.runs} runs",
            "boundary": units.seconds(measured.boundary_seconds) + " per additional part",
            "energy": "by the device's watts"
            if measured.energy_basis is None
            else measured.energy_basis,
            "machine": f"{machine.cpu}, {machine.cores} cores, {machine.threads} threads, "
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


# -- runs ---------------------------------------------------------------------------------------


def run_report(report: Mapping[str, Any]) -> None:
    """Print a run report (the document of ``run --json``): predicted beside measured."""
    streams = [item for item in report.get("streams") or () if isinstance(item, Mapping)]
    show(
        f"Predicted and measured ({report.get('requests')} requests along each route)",
        (
            "stream", ">predicted", ">measured", "?>p95", ">error", ">CPU error", "strict",
            ">deployed",
        ),
        (
            (
                stream.get("name"),
                units.seconds(_number(stream.get("predicted_seconds"))),
                units.seconds(_number(stream.get("measured_seconds"))),
                units.seconds(_worst(stream, "p95_seconds")),
                _signed(_number(stream.get("relative_error"))),
                _signed(_number(stream.get("relative_error_cpu"))),
                _equal(stream.get("strict_equal")),
                _plain(_number(stream.get("deployed_max_error"))),
            )
            for stream in streams
        ),
        footer="CPU error: with compute in CPU time and transfers in wall time. strict: outputs "
        "equal the unsplit network's bit by bit, optimisation off; "
        "deployed: largest difference over the output's scale.",
    )  # fmt: skip
    show(
        "Stages",
        ("stream", "device", ">predicted", ">measured", ">CPU", ">error", ""),
        (
            (
                stream.get("name") if index == 0 else "",
                stage.get("device"),
                units.seconds(predicted := _number(stage.get("predicted_seconds"))),
                units.seconds(measured := _number(stage.get("measured_seconds"))),
                units.seconds(_number(stage.get("cpu_seconds"))),
                _signed(measured / predicted - 1 if measured is not None and predicted else None),
                "emulated" if stage.get("emulated") else "",
            )
            for stream in streams
            for index, stage in enumerate(stream.get("stages") or ())
            if isinstance(stage, Mapping)
        ),
    )


def _worst(stream: Mapping[str, Any], key: str) -> float | None:
    """Return the largest of a measured number over a stream's routes."""
    found = []
    for route in stream.get("routes") or ():
        measured = route.get("measured") if isinstance(route, Mapping) else None
        value = _number(measured.get(key)) if isinstance(measured, Mapping) else None
        if value is not None:
            found.append(value)
    return max(found, default=None)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _signed(value: float | None) -> str:
    return units.MISSING if value is None else f"{value * 100:+.1f} %"


def _plain(value: float | None) -> str:
    return units.MISSING if value is None else f"{value:.2g}"


def _equal(value: object) -> Text:
    if value is None:
        return Text(units.MISSING)
    return Text("bit-exact", style="green") if value else Text("DIFFERS", style="bold red")


# -- catalogue ----------------------------------------------------------------------------------


def catalogue(devices: Sequence[CatalogueDevice], links: Sequence[CatalogueLink]) -> None:
    """Print the catalogue's devices and links; details with their sources come by name."""
    if devices:
        show(
            "Devices",
            (
                "name", "?what", "?tier", ">flop/s", "?>memory/s", ">memory", "?>active",
                "?>idle", ">price",
            ),
            (
                (
                    device.name,
                    device.title,
                    device.tier,
                    _figure(device.flops_per_second, units.rate),
                    _figure(device.memory_bytes_per_second, units.size),
                    _figure(device.memory_bytes, units.size),
                    _figure(device.active_watts, units.watts),
                    _figure(device.idle_watts, units.watts),
                    _price(device),
                )
                for device in devices
            ),
        )  # fmt: skip
    if links:
        show(
            "Links",
            (
                "name",
                "?what",
                ">bandwidth",
                ">latency",
                "?>send J/MB",
                "?>receive J/MB",
                "?>$/GB",
            ),
            (
                (
                    link.name,
                    link.title,
                    _figure(link.bytes_per_second, units.bandwidth),
                    _figure(link.latency_seconds, units.seconds),
                    _figure(link.send_joules_per_byte, lambda v: f"{v * 1e6:.3g}"),
                    _figure(link.receive_joules_per_byte, lambda v: f"{v * 1e6:.3g}"),
                    _figure(link.dollars_per_byte, lambda v: f"{v * 1e9:.3g}"),
                )
                for link in links
            ),
        )


def catalogue_entry(entry: CatalogueDevice | CatalogueLink) -> None:
    """Print every figure of an entry: value, kind, source, year."""
    from edgeplan.model.catalogue import Figure

    figures = {key: value for key, value in vars(entry).items() if isinstance(value, Figure)}
    show(
        f"{entry.name}: {entry.title}",
        ("figure", ">value", "kind", "year", "source"),
        (
            (key, f"{figure.value:.6g}", figure.kind, figure.year, figure.source)
            for key, figure in figures.items()
        ),
        footer=entry.note,
    )


def _price(device: CatalogueDevice) -> str:
    if device.dollars_per_hour is not None:
        return _figure(device.dollars_per_hour, units.dollars) + "/h"
    if device.dollars_per_second is not None:
        return _figure(device.dollars_per_second, units.dollars) + "/s"
    return units.MISSING


def _figure(figure: Figure | None, unit: Any) -> str:
    if figure is None:
        return units.MISSING
    return ("~" if figure.kind == "estimate" else "") + str(unit(figure.value))
