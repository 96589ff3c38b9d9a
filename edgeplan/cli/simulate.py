"""``edgeplan simulate``: a plan under random arrivals, beside its prediction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeplan.cli.interrupt import stop_on_interrupt
from edgeplan.cli.load import load
from edgeplan.cli.options import input_argument, json_option, output_option
from edgeplan.cli.output import clean_text, json_text, note, print_json, write_text
from edgeplan.cli.run import watching
from edgeplan.model.errors import Fault, InputError

if TYPE_CHECKING:
    from edgeplan.model.evaluate import DeviceLoad, Evaluation, LinkLoad
    from edgeplan.model.problem import Problem
    from edgeplan.simulation import Arrivals, Simulation

FORMAT = "edgeplan-simulation"
KINDS = "poisson, gamma:CV2 or mmpp:RATIO,TIME[,SHARE]"


@click.command("simulate")
@input_argument("instance")
@input_argument("plan")
@click.option(
    "--requests", type=click.IntRange(1, 200_000_000), default=200_000, show_default=True,
    help="Requests of all streams together; the first tenth of the time is not counted.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option(
    "--arrivals",
    "processes",
    multiple=True,
    metavar="[STREAM=]KIND",
    help=f"How requests arrive, in place of the stream's arrival_cv2: {KINDS}. gamma: times "
    "between requests with this squared coefficient of variation. mmpp: bursts of RATIO times the "
    "quiet rate that last TIME on average (10 s) and take up SHARE of the time (0.5). Without "
    "STREAM: of every stream. May be repeated.",
)
@click.option(
    "--trace",
    "traces",
    multiple=True,
    metavar="STREAM=FILE",
    help="Recorded arrivals: a CSV file with a time per row, in seconds or as date and time; "
    "repeated when used up. May be repeated.",
)
@click.option(
    "--scale-traces",
    is_flag=True,
    help="Stretch each trace to its stream's rate; else it keeps its own.",
)
@output_option("SIMULATION", "Write the simulation here (JSON).")
@json_option
def command(
    instance: Path,
    plan: Path,
    requests: int,
    seed: int,
    processes: tuple[str, ...],
    traces: tuple[str, ...],
    scale_traces: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Let random requests run through PLAN of INSTANCE, event by event.

    Prints mean and percentiles of each stream's latency with 95 % confidence, beside what the
    evaluator predicts, and the load and wait of devices and links. The same seed gives the same
    numbers. A device that is asked for more than it can do is simulated too, and said to be
    unstable: the numbers then depend on how long the run is.
    """
    from edgeplan.model.evaluate import evaluate
    from edgeplan.simulation import simulate

    read, chosen = load(instance, plan)
    problem = read.problem
    arrivals = _arrivals(problem, processes, traces, scaled=scale_traces)
    with stop_on_interrupt("what was simulated so far") as stop, watching() as on_progress:

        def progress(done: int, total: int) -> None:
            if on_progress is not None:
                on_progress("simulating", done, total)

        simulation = simulate(
            problem,
            chosen,
            requests=requests,
            seed=seed,
            arrivals=arrivals,
            on_progress=progress,
            stop=stop.is_set,
        )
    evaluation = evaluate(problem, chosen)
    for text in simulation.notes:
        note(f"note: {text}")
    document = with_prediction(problem, simulation, evaluation)
    if output is not None:
        write_text(output, json_text(document))
    if as_json:
        print_json(document)
        return
    from edgeplan.cli import tables

    tables.simulation(simulation, evaluation)
    if output is not None:
        tables.say(f"simulation: {output}")


def with_prediction(
    problem: Problem, simulation: Simulation, evaluation: Evaluation
) -> dict[str, Any]:
    """Return a simulation for machines, the evaluator's values beside the simulated ones."""
    head = {"format": FORMAT, "version": 1, "instance": problem.name}
    document: dict[str, Any] = {**head, **simulation.as_json()}
    for stream, predicted in zip(document["streams"], evaluation.streams, strict=True):
        stream["predicted"] = {
            "mean_seconds": predicted.latency_seconds,
            "basis": predicted.basis,
            **{f"p{p * 100:.12g}": seconds for p, seconds in predicted.tails},
            "energy_joules": predicted.energy_joules,
            "cost_dollars": predicted.cost_dollars,
        }
    prices: tuple[DeviceLoad | LinkLoad, ...] = (*evaluation.devices, *evaluation.links)
    for item, price in zip((*document["devices"], *document["links"]), prices, strict=True):
        item["predicted"] = {
            "utilisation": price.utilisation,
            "mean_wait_seconds": price.wait_seconds,
            "basis": price.basis,
        }
    document["predicted"] = {
        "latency_seconds": evaluation.latency_seconds,
        "energy_joules": evaluation.energy_joules,
        "cost_dollars": evaluation.cost_dollars,
    }
    return document


def _arrivals(
    problem: Problem, processes: Iterable[str], traces: Iterable[str], *, scaled: bool
) -> Mapping[str, Arrivals]:
    """Return how requests of streams arrive where the command line says it.

    Raises
    ------
    InputError
        With every fault of the options and the traces' files.
    """
    from edgeplan.simulation import read_trace

    faults: list[Fault] = []
    every: dict[str, Arrivals] = {}
    named: dict[str, Arrivals] = {}

    def add(option: str, name: str, arrivals: Arrivals) -> None:
        if name in named:
            faults.append(Fault(option, f"stream '{clean_text(name)}' has two kinds of arrivals"))
        named[name] = arrivals

    for text in processes:
        try:
            if "=" not in text:
                kind = _process(text)
                every |= {stream.name: kind for stream in problem.streams}
            else:
                name, value = _split(problem, "--arrivals", text, KINDS)
                add("--arrivals", name, _process(value))
        except InputError as error:
            faults += error.faults
    for text in traces:
        try:
            name, value = _split(problem, "--trace", text, "FILE")
            add("--trace", name, read_trace(Path(value), scaled=scaled))
        except InputError as error:
            faults += error.faults
    if scaled and not any(True for _ in traces):
        faults.append(Fault("--scale-traces", "there is no --trace to scale"))
    if faults:
        raise InputError(faults)
    return every | named


def _split(problem: Problem, option: str, text: str, wanted: str) -> tuple[str, str]:
    """Return a stream's name and what is said of it; names may have '=' in them, as files may."""
    names = [stream.name for stream in problem.streams if text.startswith(f"{stream.name}=")]
    if not names:
        said = clean_text(text.partition("=")[0], 40)
        known = ", ".join(clean_text(stream.name, 40) for stream in problem.streams[:12])
        raise InputError.at(
            option, f"there is no stream '{said}'; write STREAM={wanted}; streams: {known}"
        )
    name = max(names, key=len)
    return name, text[len(name) + 1 :]


def _process(text: str) -> Arrivals:
    """Return an arrival process.

    Examples
    --------
    >>> _process("mmpp:4,10 s")
    Mmpp(ratio=4.0, burst_seconds=10.0, share=0.5)
    """
    from edgeplan.instances.units import TIME, UnitError
    from edgeplan.simulation import Mmpp, Renewal

    kind, _, rest = text.partition(":")
    words = [word.strip() for word in rest.split(",")] if rest else []
    try:
        match kind.strip().lower(), words:
            case "poisson", []:
                return Renewal()
            case "gamma", [cv2]:
                return Renewal(cv2=float(cv2))
            case "mmpp", [ratio, length]:
                return Mmpp(ratio=float(ratio), burst_seconds=TIME.parse(length))
            case "mmpp", [ratio, length, share]:
                burst = TIME.parse(length)
                return Mmpp(ratio=float(ratio), burst_seconds=burst, share=float(share))
    except InputError as error:
        shown = clean_text(text, 40)
        raise InputError(
            Fault(f"--arrivals '{shown}'", f"{fault.place} {fault.message}")
            for fault in error.faults
        ) from None
    except UnitError as error:
        raise InputError.at(f"--arrivals '{clean_text(text, 40)}'", f"TIME: {error}") from None
    except ValueError:
        pass
    raise InputError.at(
        f"--arrivals '{clean_text(text, 40)}'", f"must be {KINDS}, for example mmpp:4,10s"
    )
