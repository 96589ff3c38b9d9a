"""Write docs/formulation.md and docs/formulation-load.md from the registered equations' docstrings.

Usage: python tools/write_formulation.py [FORMULATION [FORMULATION-LOAD]]
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import ModuleType

import file_symbols

from edgeplan.model.formulation import (
    EQUATIONS,
    TERMS,
    Equation,
    build,
    constraints,
    objective,
    route_sets,
    sets,
    units,
    variables,
)
from edgeplan.model.formulation.queueing import EQUATIONS as EQUATIONS_UNDER_LOAD
from edgeplan.model.formulation.queueing import TERMS as TERMS_UNDER_LOAD
from edgeplan.model.formulation.queueing import constraints as queue_constraints
from edgeplan.model.formulation.queueing import levels
from edgeplan.model.formulation.queueing import objective as queue_objective
from edgeplan.model.formulation.queueing import variables as queue_variables
from edgeplan.solvers.queueing import fractions, queue_sets, set_bound

PAGE = Path(__file__).parent.parent / "docs" / "formulation.md"
LOAD_PAGE = PAGE.with_name("formulation-load.md")

INTRODUCTION = """\
# The formulation

<!-- Written by tools/write_formulation.py from the code: edit the docstrings, not this page. -->

The evaluator (`edgeplan/model/evaluate.py`) says what a plan costs and which limits it breaks;
this program finds the cheapest plan that breaks none. A test fixes plans in the program and
demands the evaluator's price and verdict for each of them.
"""


LOAD_INTRODUCTION = """\
# The program under load

<!-- Written by tools/write_formulation.py from the code: edit the docstrings, not this page. -->

Where requests wait (`waiting: mg1`), a plan's price has products in it: routes load queues, and
loaded queues make routes wait. This program has whole routes as its columns and *levels* of waits
at its queues. The evaluator prices every route; the equations only add up. What
[formulation.md](formulation.md) says holds where nobody waits.
"""

DATA = """## Data

What the instance file says. `*` stands for a name, `[]` for each item of a list. Where the file
names a profile, times and sizes are the profile's ([files](reference/files.md#profile)).
"""

PROGRAMS = r"""## Two programs

A state k of a queue is a number of replicas and a range of waits $[W_{k-1}, W_k]$; a queue is in
one state or off. Both programs have the same rows (the load of a state's routes must fit its
upper end), and price waits differently:

- the *plan program* at the upper end: what it finds costs at most what it says, and keeps all
  limits. States without an upper end are left out.
- the *bound program* at the lower end, with one state more from the top level to the cap on
  utilisation: no plan costs less. Only it proves bounds, and that there is no plan.

Levels are put around the waits of known plans, and split where the bound program's solution pays
too little for its waits, until the evaluator's price and the bound meet. Percentiles have levels of
decay of their own, rounded likewise.
"""

BOUNDS = """## Bounds that are not this program's

Two bounds may be better than that of the bound program; the basis of the certificate names what
they leave out. Both are `claimed`: floating point, and no multipliers in the plan's file.
"""


def load_page() -> str:
    """Return the page of the program under load."""
    terms = (_rule(TERMS_UNDER_LOAD, name) for name in TERMS_UNDER_LOAD)
    parts = [
        LOAD_INTRODUCTION,
        PROGRAMS,
        "## Levels and states\n",
        _words(_before(levels.Levels.__doc__)),
        _words(levels.states.__doc__, skip=("Parameters", "Returns")),
        "## Variables\n",
        _table(inspect.cleandoc(queue_variables.__doc__ or "")),
        DATA,
        file_symbols.table(file_symbols.LOAD),
        "## Objective\n",
        _words(queue_objective.__doc__),
        *terms,
        "## Constraints\n",
        _words(queue_constraints.__doc__),
    ]
    for name, items in _headed(queue_constraints, EQUATIONS_UNDER_LOAD).items():
        parts.append(f"### {name[0].upper()}{name[1:]}\n")
        parts.extend(_rule(EQUATIONS_UNDER_LOAD, item) for item in items)
    parts += [BOUNDS, "### From sets of routes at each queue\n", _words(set_bound.__doc__)]
    parts.append(_words(queue_sets.__doc__))
    parts += ["### From the tangent, where streams are dealt out\n", _words(fractions.__doc__)]
    return "\n".join(parts)


def _before(docstring: str | None) -> str:
    """Return a docstring without its sections, its parameters as a list."""
    text, _, rest = inspect.cleandoc(docstring or "").partition("\nParameters\n----------\n")
    items = re.findall(r"(?m)^(\w+)\n((?:    .*\n?)+)", rest)
    shown = [f"- *{name}*: {' '.join(words.split())}" for name, words in items if len(words) > 60]
    return "\n".join([text, *shown])


def _rule(register: Mapping[str, Callable[..., object]], name: str) -> str:
    return _titled(name, register[name].__doc__ or "", file_symbols.LOAD)


def _titled(name: str, docstring: str, data: tuple[file_symbols.Symbol, ...]) -> str:
    """Return an equation or a term: its name, its words, and where its data come from."""
    parts = [f"#### `{name}`\n", _words(docstring), file_symbols.sources(data, name, docstring)]
    return "\n".join(filter(None, parts))


def page() -> str:
    """Return the page."""
    parts = [
        INTRODUCTION,
        _words(build.__doc__, skip=("Parameters", "Returns", "Raises")),
        "## Variables\n",
        _table(inspect.cleandoc(variables.__doc__ or "")),
        DATA,
        file_symbols.table(file_symbols.PROGRAM),
        "## Objective\n",
        _words(objective.__doc__),
        *(_titled(item.name, item.words, file_symbols.PROGRAM) for item in TERMS.values()),
        "## Constraints\n",
        _words(constraints.__doc__),
    ]
    for name, items in _headed(constraints, EQUATIONS).items():
        parts.append(f"### {name[0].upper()}{name[1:]}\n")
        parts.extend(_equation(EQUATIONS[item]) for item in items)
    words = [_words(route_sets.__doc__), _words(sets.__doc__)]
    parts += ["## Which variables exist\n", *words, "## Units\n"]
    parts.append(_words(units.__doc__))
    return "\n".join(parts)


def _equation(item: Equation) -> str:
    over = inspect.getdoc(getattr(sets.Sets, item.over)) or ""
    summary = over.splitlines()[0].rstrip(".")
    words = _titled(item.name, item.words, file_symbols.PROGRAM)
    return f"{words}\n*One for each of `{item.over}`:* {summary}.\n"


def _headed(module: ModuleType, names: Collection[str]) -> dict[str, list[str]]:
    """Return the names of equations under the headings of the module that they are in."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in inspect.getsource(module).splitlines():
        if match := re.match(r"# -- (.*?) -+$", line):
            heading = match[1]
        if (match := re.match(r"def (\w+)\(", line)) and match[1] in names:
            found.setdefault(heading, []).append(match[1])
    return found


def _words(docstring: str | None, skip: tuple[str, ...] = ()) -> str:
    """Return a docstring as Markdown: directives as display mathematics, sections as bold."""
    text = inspect.cleandoc(docstring or "")
    lines: list[str] = []
    block: list[str] | None = None
    section = ""
    source = text.splitlines()
    for index, line in enumerate(source):
        following = source[index + 1] if index + 1 < len(source) else ""
        if following and set(following) == {"-"} and line.strip():
            section = line.strip()
            continue
        if line and set(line) == {"-"}:
            continue
        if section in skip:
            continue
        if line.startswith(".. math::"):
            block = [line.removeprefix(".. math::").strip()]
        elif block is not None and (line.startswith("    ") or not line.strip()):
            if line.strip():
                block.append(line.strip())
            elif any(block):
                lines += _display(block)
                block = None
        else:
            if block is not None:
                lines += _display(block)
                block = None
            lines.append(line)
    if block is not None:
        lines += _display(block)
    prose = "\n".join(lines)
    prose = re.sub(r":math:`([^`]*)`", r"$\1$", prose).replace("``", "`")
    return re.sub(r"\n{3,}", "\n\n", prose).strip() + "\n"


def _display(block: list[str]) -> list[str]:
    return ["", "$$", *(line for line in block if line), "$$", ""]


def _table(text: str) -> str:
    """Return the text of variables.py with its simple table as a Markdown table."""
    lines: list[str] = []
    columns: list[int] = []
    rules = 0
    for line in text.splitlines():
        if re.fullmatch(r"=+( +=+)+", line):
            columns = [match.start() for match in re.finditer(r"=+", line)]
            rules += 1
            if rules == 2:
                lines.append("|" + " --- |" * len(columns))
        elif columns and rules < 3:
            ends = [*columns[1:], len(line)]
            cells = [line[a:b].strip() for a, b in zip(columns, ends, strict=True)]
            lines.append(f"| {' | '.join(cells)} |")
        else:
            lines.append(line)
    return "\n".join(lines).replace("``", "`") + "\n"


def main(path: Path = PAGE, load: Path = LOAD_PAGE) -> None:
    """Write both pages."""
    _write(path, page())
    _write(load, load_page())


def _write(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
