"""One front by pyaugmecon 2, in its own Python: ``python pareto_peer.py FILE FACTOR``.

Run by `benchmarks.pareto`; needs Python ≥ 3.12 with ``pyaugmecon[highs]``, and nothing of edgeplan.
Prints one line of JSON: the points (of a generalised assignment as costs, 10 n − profit), seconds,
and how many programs were solved.
"""

import json
import pathlib
import sys
import tempfile
import time
from typing import Any

import pyomo.environ as pyo
from pyaugmecon import PyAugmecon, PyAugmeconConfig


def model_of(tree: dict[str, Any], factor: float) -> Any:
    """Return the assignment of a file as a Pyomo model, to be maximised as the peer wants it."""
    model = pyo.ConcreteModel()
    if "costs" in tree:
        count = range(tree["n"])
        model.x = pyo.Var(count, count, domain=pyo.Binary)
        model.row = pyo.Constraint(count, rule=lambda m, i: sum(m.x[i, j] for j in count) == 1)
        model.column = pyo.Constraint(count, rule=lambda m, j: sum(m.x[i, j] for i in count) == 1)
        sums = [
            sum(factor * table[i][j] * model.x[i, j] for i in count for j in count)
            for table in tree["costs"]
        ]
        sense = pyo.minimize
    else:
        items, places = range(tree["n"]), range(tree["m"])
        model.x = pyo.Var(items, places, domain=pyo.Binary)
        model.row = pyo.Constraint(items, rule=lambda m, i: sum(m.x[i, j] for j in places) == 1)
        model.room = pyo.Constraint(
            places,
            rule=lambda m, j: (
                sum(tree["weight"][j][i] * m.x[i, j] for i in items) <= tree["capacity"][j]
            ),
        )
        sums = [
            sum(factor * table[j][i] * model.x[i, j] for i in items for j in places)
            for table in tree["profit"]
        ]
        sense = pyo.maximize
    model.obj_list = pyo.ObjectiveList()
    for value in sums:
        model.obj_list.add(expr=value, sense=sense)
    return model


def main() -> None:
    tree = json.loads(pathlib.Path(sys.argv[1]).read_text())
    factor = float(sys.argv[2])
    factor = int(factor) if factor.is_integer() else factor
    with tempfile.TemporaryDirectory() as folder:
        config = PyAugmeconConfig(
            name="edgeplan",
            workers=1,
            write_csv=False,
            progress_bar=False,
            log_to_console=False,
            artifact_folder=folder,
        )
        began = time.perf_counter()
        result = PyAugmecon(model_of(tree, factor), config).solve()
        seconds = time.perf_counter() - began
    most = 10 * tree["n"] * factor if "profit" in tree else None
    points = [
        [abs(value) if most is None else most - value for value in point] for point in result.points
    ]
    print(json.dumps({"points": points, "seconds": seconds, "mips": result.models_solved}))


if __name__ == "__main__":
    main()
