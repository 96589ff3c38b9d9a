"""Write the golden LP file of every equation of queues and routes, after a change that was meant.

Usage: python tools/write_queueing_golden.py [FOLDER]
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from edgeplan.model.formulation.queueing import (
    EQUATIONS,
    TERMS,
    Levels,
    Program,
    term_text,
    text,
    variables_text,
)
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.problem import (
    Budgets,
    Device,
    Link,
    Objective,
    Problem,
    Stream,
    TailDeadline,
)
from edgeplan.solvers.queueing.at_levels import program_at
from edgeplan.solvers.queueing.columns import columns
from edgeplan.solvers.watch import Watch

FOLDER = Path(__file__).parent.parent / "tests" / "model" / "formulation" / "queueing_golden"


def witness() -> Problem:
    """Return a small problem that uses every equation."""
    tensors = (
        Tensor(name="in", bytes=1000, producer=None, consumers=(0,)),
        Tensor(name="mid", bytes=400, producer=0, consumers=(1,)),
        Tensor(name="out", bytes=10, producer=1, output=True),
    )
    batched = LayerCosts(seconds=(0.006, 0.009), cv2=0.2)
    network = Network(
        "net",
        (
            Layer(name="x", weight_bytes=600, activation_bytes=50),
            Layer(name="y", weight_bytes=300, activation_bytes=70),
        ),
        tensors,
        {
            "hub": LayerCosts(seconds=(0.02, 0.03), cv2=0.5),
            "sky": LayerCosts(seconds=(0.004, 0.006), batches={2: batched}),
        },
    )
    return Problem(
        networks=(network,),
        devices=(
            Device(
                name="hub",
                memory_bytes=1000,
                active_watts=5,
                idle_watts=1,
                dollars_per_joule=0.01,
                power_budget_watts=40,
            ),
            Device(
                name="sky",
                max_replicas=2,
                dispatch="shared",
                charge_idle=True,
                active_watts=50,
                idle_watts=10,
                dollars_per_hour=0.5,
            ),
        ),
        links=(
            Link(source="hub", target="sky", bytes_per_second=1e5, latency_seconds=0.01),
            Link(
                source="sky",
                target="hub",
                bytes_per_second=1e5,
                latency_seconds=0.01,
                contention="none",
            ),
        ),
        streams=(
            *(
                Stream(
                    name=name,
                    network="net",
                    origin="hub",
                    rate_per_second=4,
                    deadline_seconds=0.2,
                    waits=True,
                )
                for name in ("a", "b")
            ),
            Stream(
                name="c",
                network="net",
                origin="hub",
                rate_per_second=6,
                arrival_cv2=0.5,
                deadline_seconds=0.3,
                tail_deadlines=(TailDeadline(probability=0.95, seconds=0.5),),
                splittable=True,
                max_batch=2,
            ),
        ),
        objective=Objective(latency=1, energy=0.02, cost=3, throughput=0.5),
        budgets=Budgets(power_watts=200, dollars_per_hour=90, min_rate_per_second=5),
        waiting="mg1",
    )


def program() -> Program:
    """Return the witness's bound program, with every equation in it."""
    problem = witness()
    levels = Levels(
        waits={("device", "hub"): (0.01, 0.05), ("link", "hub->sky"): (0.002,)},
        boxes={("device", "sky"): ((0.4,), (0.002,))},
        decays={("device", "hub"): (20.0,)},
    )
    routes = columns(problem, Watch(None, None))
    steep = {(0, 1): 0.4, (0, 2): 0.6}
    return program_at(problem, routes, levels, "bound", unit=math.ldexp(1, -4), steep=steep)


def golden_texts() -> dict[str, str]:
    """Return the text of every equation and term, and of the variables."""
    made = program()
    return {
        **{name: text(made, name) for name in EQUATIONS},
        **{name: term_text(made, name) for name in TERMS},
        "variables": variables_text(made),
    }


def main(folder: Path) -> None:
    """Write the files; remove those of equations that are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = golden_texts()
    for path in folder.glob("*.lp"):
        if path.stem not in texts:
            path.unlink()
    for name, content in texts.items():
        (folder / f"{name}.lp").write_text(content, encoding="utf-8")
    print(f"{len(texts)} files in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
