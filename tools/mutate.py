"""Break the formulation in every place, one at a time, and see whether the checks notice.

Usage: python tools/mutate.py [--sample N] [--seed S] [--processes P] [--verbose]

Every function of constraints.py and objective.py is mutated in its syntax tree: each equation is
dropped and its sense turned; each factor, divisor, summand, sum and constant is dropped, scaled
or negated; each condition is negated or dropped. Each mutant meets three witnesses, in order:

``oracle``  fixed plans of the witness problems priced by the evaluator (tools/witnesses.py);
``golden``  the committed LP text of the equations;
``crash``   the mutant cannot be built at all.

The program of queues and routes is broken likewise, and so is each family of entries in its
rows; the golden text is what notices there, and tests/conformance what the program means.

Exits with 1 when a mutant survives all of them.
"""

from __future__ import annotations

import argparse
import ast
import copy
import inspect
import itertools
import logging
import random
import sys
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import queueing_witness
from witnesses import Witness, disagreement, golden_texts, witnesses

from edgeplan.model.formulation import TERMS, constraints, objective
from edgeplan.model.formulation.queueing import constraints as queue_constraints
from edgeplan.model.formulation.queueing import objective as queue_objective
from edgeplan.model.formulation.registry import Register
from edgeplan.model.formulation.sets import Sets

GOLDEN = Path(__file__).parent.parent / "tests" / "model" / "formulation" / "golden"
QUEUEING_GOLDEN = GOLDEN.with_name("queueing_golden")
QUEUEING = (queue_constraints, queue_objective)
TURNED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.LtE, ast.GtE),
    ast.LtE: (ast.GtE,),
    ast.GtE: (ast.LtE,),
}


Edit = Callable[[dict[int, tuple[ast.AST, str, int | None]], Any], None]
"""Breaks a node; takes the parents (with field and position there) of nodes by id, and the node."""


@dataclass(frozen=True)
class Mutant:
    """A broken module.

    Parameters
    ----------
    module
        Name of the module that is broken.
    function
        The function that is broken.
    line
        Where, in its file.
    change
        What was changed.
    position, node, edit
        The function's place in the module, the broken node's in the function, and how it is
        broken.
    """

    module: types.ModuleType
    function: str
    line: int
    change: str
    position: int
    node: int
    edit: Edit

    def tree(self) -> ast.Module:
        """Return the syntax tree of the broken module."""
        tree = ast.parse(inspect.getsource(self.module))
        function = tree.body[self.position]
        self.edit(_parents(function), list(ast.walk(function))[self.node])
        return ast.fix_missing_locations(tree)

    def __str__(self) -> str:
        name = self.module.__name__.removeprefix("edgeplan.model.formulation.").replace(".", "/")
        return f"{name}.py:{self.line} {self.function}: {self.change}"


def mutants() -> Iterator[Mutant]:
    """Yield every mutant of the four modules."""
    for module in (constraints, objective, *QUEUEING):
        tree = ast.parse(inspect.getsource(module))
        for position, node in enumerate(tree.body):
            if isinstance(node, ast.FunctionDef):
                yield from _broken(module, position, node)


def _broken(module: types.ModuleType, position: int, function: ast.FunctionDef) -> Iterator[Mutant]:
    nodes = list(ast.walk(function))
    hidden = {
        id(part)
        for item in (function.args, *function.decorator_list, function.returns)
        if item is not None
        for part in ast.walk(item)
    }
    for index, node in enumerate(nodes):
        if id(node) in hidden:
            continue
        edits = _edits(node, function)
        if module in QUEUEING:
            # Whole constants are positions and flags of NumPy there, no mathematics; what they
            # multiply is scaled and dropped as a product.
            if isinstance(node, ast.Constant) and not isinstance(node.value, float):
                edits = iter(())
            edits = itertools.chain(edits, _row_edits(node, function))
        for change, edit in edits:
            line = getattr(node, "lineno", function.lineno)
            yield Mutant(module, function.name, line, change, position, index, edit)


def _edits(node: ast.AST, function: ast.FunctionDef) -> Iterator[tuple[str, Edit]]:
    text = ast.unparse(node) if isinstance(node, ast.expr) else ""
    row = any(isinstance(item, ast.Call) for item in function.decorator_list)
    if isinstance(node, ast.Return) and node.value is not None and row:
        empty = "Constraint.Skip" if isinstance(node.value, ast.Compare) else "0.0"
        value = _expression("__import__('pyomo.environ').environ.Constraint.Skip")
        if empty == "0.0":
            value = ast.Constant(0.0)
        yield "drop the whole row or term", _setting("value", value)
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], tuple(TURNED)):
        if _is_row(node, function):
            for sense in TURNED[type(node.ops[0])]:
                yield f"turn the sense of {text} to {sense.__name__}", _setting("ops", [sense()])
            bound = ast.BinOp(node.comparators[0], ast.Add(), ast.Constant(0.25))
            yield f"move the right side of {text}", _setting("comparators", [bound])
        else:
            yield f"negate {text}", _becoming(ast.UnaryOp(ast.Not(), node))
    if isinstance(node, ast.BoolOp):
        for index in range(len(node.values)):
            yield f"drop {ast.unparse(node.values[index])}", _becoming(_without(node, index))
    if isinstance(node, ast.comprehension):
        for index, condition in enumerate(node.ifs):
            rest = [item for k, item in enumerate(node.ifs) if k != index]
            yield f"drop the condition {ast.unparse(condition)}", _setting("ifs", rest)
    if isinstance(node, ast.BinOp):
        left, right = node.left, node.right
        if isinstance(node.op, ast.Mult):
            yield f"drop {ast.unparse(left)} of {text}", _becoming(right)
            if not _has_variable(right):
                yield f"drop {ast.unparse(right)} of {text}", _becoming(left)
            yield f"scale {text}", _becoming(ast.BinOp(ast.Constant(1.5), ast.Mult(), node))
        elif isinstance(node.op, ast.Div):
            yield f"drop the divisor of {text}", _becoming(left)
            yield f"multiply in {text}", _becoming(ast.BinOp(left, ast.Mult(), right))
        elif isinstance(node.op, ast.Add | ast.Sub):
            yield (
                f"drop {ast.unparse(left)} of {text}",
                _becoming(
                    right if isinstance(node.op, ast.Add) else ast.UnaryOp(ast.USub(), right)
                ),
            )
            yield f"drop {ast.unparse(right)} of {text}", _becoming(left)
            other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            yield f"swap the sign in {text}", _becoming(ast.BinOp(left, other, right))
    if isinstance(node, ast.AugAssign):
        sign = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield f"swap the sign of {ast.unparse(node)}", _setting("op", sign)
        yield f"drop {ast.unparse(node)}", _setting("value", ast.Constant(0))
        scaled = ast.BinOp(ast.Constant(1.5), ast.Mult(), node.value)
        yield f"scale {ast.unparse(node)}", _setting("value", scaled)
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("sum", "total")
    ):
        yield f"drop {text}", _becoming(ast.Constant(0.0))
        yield f"scale {text}", _becoming(ast.BinOp(ast.Constant(1.5), ast.Mult(), node))
    if isinstance(node, ast.Yield) and node.value is not None:
        if isinstance(node.value, ast.Tuple):
            taken, share = node.value.elts
            scaled = ast.BinOp(ast.Constant(1.5), ast.Mult(), share)
            yielded: ast.expr = ast.Tuple([taken, scaled], ast.Load())
        else:
            yielded = ast.BinOp(ast.Constant(1.5), ast.Mult(), node.value)
        yield f"scale {text}", _setting("value", yielded)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        if isinstance(node.value, bool):
            yield f"negate {node.value}", _setting("value", not node.value)
        else:
            yield f"add 1 to {node.value}", _setting("value", node.value + 1)
    if isinstance(node, ast.IfExp):
        yield f"always {ast.unparse(node.body)}", _becoming(node.body)
        yield f"always {ast.unparse(node.orelse)}", _becoming(node.orelse)


def _row_edits(node: ast.AST, function: ast.FunctionDef) -> Iterator[tuple[str, Edit]]:
    """Break what only rows in arrays have: their limits, and families of entries."""
    text = ast.unparse(node) if isinstance(node, ast.expr) else ""
    empty = isinstance(node, ast.Return) and ast.unparse(node) in (
        "return Rows([])",
        "return (f['excess'], np.zeros(0))",
    )
    if isinstance(node, ast.Return) and function.decorator_list and not empty:
        kind = getattr(function.decorator_list[0], "id", "")
        nothing = "Rows([])" if kind == "equation" else "(f['route'][:0], np.zeros(0))"
        yield "drop the whole rows or term", _setting("value", _expression(nothing))
    if not isinstance(node, ast.Call):
        return
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if name == "Rows":
        for number, keyword in enumerate(node.keywords):
            moved = ast.BinOp(keyword.value, ast.Add(), ast.Constant(0.25))
            edited = [copy.deepcopy(item) for item in node.keywords]
            edited[number] = ast.keyword(keyword.arg, moved)
            yield f"move {keyword.arg} of {text}", _setting("keywords", edited)
            other = "lower" if keyword.arg == "upper" else "upper"
            edited = [copy.deepcopy(item) for item in node.keywords]
            edited[number] = ast.keyword(other, keyword.value)
            yield f"turn the sense of {text}", _setting("keywords", edited)
        for number in range(1, len(node.args)):
            moved = ast.BinOp(node.args[number], ast.Add(), ast.Constant(0.25))
            arguments = [*node.args[:number], moved, *node.args[number + 1 :]]
            yield f"move limit {number} of {text}", _setting("args", arguments)
    elif name == "add" and isinstance(node.func, ast.Attribute):
        yield f"drop the entries of {text}", _becoming(node.func.value)
        value = node.args[2] if len(node.args) > 2 else ast.Constant(1.0)
        for change, factor in (("scale", 1.5), ("negate", -1.0)):
            changed = ast.BinOp(ast.Constant(factor), ast.Mult(), _array(value))
            yield f"{change} the entries of {text}", _setting("args", [*node.args[:2], changed])
    elif name in ("_add_waits", "_add_budget"):
        scaled = ast.BinOp(ast.Constant(1.5), ast.Mult(), _array(node.args[-1]))
        yield f"scale {text}", _setting("args", [*node.args[:-1], scaled])


def _array(value: ast.expr) -> ast.expr:
    return ast.Call(_expression("np.asarray"), [value], [])


def _is_row(node: ast.Compare, function: ast.FunctionDef) -> bool:
    """Whether a comparison is the row itself: what a registered rule returns."""
    return bool(function.decorator_list) and any(
        isinstance(item, ast.Return) and item.value is node for item in ast.walk(function)
    )


def _has_variable(node: ast.expr) -> bool:
    return any(isinstance(part, ast.Attribute) and part.attr == "model" for part in ast.walk(node))


def _without(node: ast.BoolOp, index: int) -> ast.expr:
    values = [value for k, value in enumerate(node.values) if k != index]
    return values[0] if len(values) == 1 else ast.BoolOp(node.op, values)


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _setting(field: str, value: object) -> Edit:
    def edit(_: object, target: Any) -> None:
        setattr(target, field, copy.deepcopy(value))

    return edit


def _becoming(value: ast.expr) -> Edit:
    def edit(parents: dict[int, tuple[ast.AST, str, int | None]], target: Any) -> None:
        parent, field, index = parents[id(target)]
        if index is None:
            setattr(parent, field, copy.deepcopy(value))
        else:
            getattr(parent, field)[index] = copy.deepcopy(value)

    return edit


def _parents(tree: ast.AST) -> dict[int, tuple[ast.AST, str, int | None]]:
    found: dict[int, tuple[ast.AST, str, int | None]] = {}
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if isinstance(value, ast.AST):
                found[id(value)] = (parent, name, None)
            elif isinstance(value, list):
                for index, item in enumerate(value):
                    if isinstance(item, ast.AST):
                        found[id(item)] = (parent, name, index)
    return found


# -- judging ------------------------------------------------------------------


def registers(mutant: Mutant) -> tuple[Register, Register]:
    """Return the equations and the terms of a mutant."""
    broken = _run(mutant.module.__name__, mutant.tree())
    if mutant.module is objective:
        return constraints.EQUATIONS, broken.TERMS
    # The objective shares helper functions with the constraints: it must see the broken ones.
    original = sys.modules[constraints.__name__]
    sys.modules[constraints.__name__] = broken
    try:
        terms = _run(objective.__name__, ast.parse(inspect.getsource(objective))).TERMS
    finally:
        sys.modules[constraints.__name__] = original
    return broken.EQUATIONS, terms


def queueing_registers(mutant: Mutant) -> tuple[Any, Any]:
    """Return the equations and the terms of a mutant of the program of queues and routes."""
    broken = _run(mutant.module.__name__, mutant.tree())
    if mutant.module is queue_objective:
        return queue_constraints.EQUATIONS, broken.TERMS
    original = sys.modules[queue_constraints.__name__]
    sys.modules[queue_constraints.__name__] = broken
    try:
        name = queue_objective.__name__
        terms = _run(name, ast.parse(inspect.getsource(queue_objective))).TERMS
    finally:
        sys.modules[queue_constraints.__name__] = original
    return broken.EQUATIONS, terms


def _run(name: str, tree: ast.Module) -> Any:
    module = types.ModuleType(name)
    exec(compile(tree, name, "exec"), module.__dict__)
    return module


def judge(mutant: Mutant, problems: dict[str, Witness], golden: dict[str, str]) -> str:
    """Return which witness catches a mutant, or ``survived``."""
    try:
        if mutant.module in QUEUEING:
            texts = queueing_witness.golden_texts(*queueing_registers(mutant))
            return "golden" if texts != read_golden(QUEUEING_GOLDEN) else "survived"
        equations, terms = registers(mutant)
        over = _range(mutant)
        for item in problems.values():
            if over and not getattr(_sets(item), over):
                continue
            if disagreement(item, equations, terms) is not None:
                return "oracle"
        return "golden" if golden_texts(equations, terms) != golden else "survived"
    except Exception:  # noqa: BLE001 - whatever a broken program raises is noticed
        return "crash"


def _range(mutant: Mutant) -> str | None:
    """Return the index set of a broken equation or term: witnesses without it cannot notice."""
    register = TERMS if mutant.module is objective else constraints.EQUATIONS
    return register[mutant.function].over if mutant.function in register else None


_SETS: dict[str, Sets] = {}


def _sets(item: Witness) -> Sets:
    return _SETS.setdefault(item.name, Sets(item.problem))


def read_golden(folder: Path = GOLDEN) -> dict[str, str]:
    """Return the committed golden texts."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.lp"))}


@dataclass
class _Bench:
    """What a process judges with, made once."""

    mutants: list[Mutant] = field(default_factory=list)
    problems: dict[str, Witness] = field(default_factory=dict)
    golden: dict[str, str] = field(default_factory=dict)


_BENCH = _Bench()


def _start() -> None:
    # A mutant that cannot be built is caught; Pyomo need not tell of it.
    logging.getLogger("pyomo").setLevel(logging.CRITICAL + 1)
    _BENCH.mutants = list(mutants())
    _BENCH.problems = witnesses()
    _BENCH.golden = read_golden()


def _verdict(index: int) -> str:
    return judge(_BENCH.mutants[index], _BENCH.problems, _BENCH.golden)


def main() -> int:
    parser = argparse.ArgumentParser(description="break the formulation in every place")
    parser.add_argument("--sample", type=int, help="judge only so many mutants")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", choices=["layers", "queueing"], help="one of the two programs")
    parser.add_argument("--verbose", action="store_true", help="print every mutant")
    options = parser.parse_args()
    began = time.monotonic()
    every = list(enumerate(mutants()))
    if options.only is not None:
        wanted = options.only == "queueing"
        every = [item for item in every if (item[1].module in QUEUEING) == wanted]
    if options.sample is not None:
        every = random.Random(options.seed).sample(every, min(options.sample, len(every)))
    table: dict[str, Counter[str]] = {}
    survivors = []
    # Processes, since two threads that solve with HiGHS may block each other.
    with ProcessPoolExecutor(options.processes, get_context("spawn"), _start) as pool:
        verdicts = pool.map(_verdict, [index for index, _ in every], chunksize=4)
        for (_, mutant), verdict in zip(every, verdicts, strict=True):
            program = "queues: " if mutant.module in QUEUEING else ""
            table.setdefault(program + mutant.function, Counter())[verdict] += 1
            if options.verbose:
                print(f"{verdict:9} {mutant}", flush=True)
            if verdict == "survived":
                survivors.append(mutant)
    columns = ("oracle", "golden", "crash", "survived")
    print(f"{'function':32}" + "".join(f"{column:>10}" for column in columns))
    for function, counts in table.items():
        print(f"{function:32}" + "".join(f"{counts[column]:10}" for column in columns))
    total = sum(table.values(), Counter[str]())
    print(f"{'total':32}" + "".join(f"{total[column]:10}" for column in columns))
    caught = len(every) - len(survivors)
    print(
        f"{caught} of {len(every)} mutants caught in {time.monotonic() - began:.0f} s "
        f"by {options.processes} processes"
    )
    for mutant in survivors:
        print(f"survived: {mutant}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
