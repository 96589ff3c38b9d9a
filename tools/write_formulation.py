"""Write docs/formulation.md from the docstrings of the registered equations.

Usage: python tools/write_formulation.py [docs/formulation.md]
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import tempfile
from pathlib import Path

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

PAGE = Path(__file__).parent.parent / "docs" / "formulation.md"

INTRODUCTION = """\
# The formulation

<!-- Written by tools/write_formulation.py from the code: edit the docstrings, not this page. -->

The evaluator (`edgeplan/model/evaluate.py`) says what a plan costs and which limits it breaks;
this program finds the cheapest plan that breaks none. A test fixes plans in the program and
demands the evaluator's price and verdict for each of them.
"""


def page() -> str:
    """Return the page."""
    parts = [
        INTRODUCTION,
        _words(build.__doc__, skip=("Parameters", "Returns")),
        "## Variables\n",
        _table(inspect.cleandoc(variables.__doc__ or "")),
        "## Objective\n",
        _words(objective.__doc__),
        *(f"#### `{item.name}`\n\n{_words(item.words)}" for item in TERMS.values()),
        "## Constraints\n",
        _words(constraints.__doc__),
    ]
    for name, items in _sections().items():
        parts.append(f"### {name[0].upper()}{name[1:]}\n")
        parts.extend(_equation(item) for item in items)
    words = [_words(route_sets.__doc__), _words(sets.__doc__)]
    parts += ["## Which variables exist\n", *words, "## Units\n"]
    parts.append(_words(units.__doc__))
    return "\n".join(parts)


def _equation(item: Equation) -> str:
    words = _words(item.words)
    over = inspect.getdoc(getattr(sets.Sets, item.over)) or ""
    summary = over.splitlines()[0].rstrip(".")
    return f"#### `{item.name}`\n\n{words}\n*One for each of `{item.over}`:* {summary}.\n"


def _sections() -> dict[str, list[Equation]]:
    """Return the equations under the headings of constraints.py."""
    found: dict[str, list[Equation]] = {}
    heading = ""
    for line in inspect.getsource(constraints).splitlines():
        if match := re.match(r"# -- (.*?) -+$", line):
            heading = match[1]
        if (match := re.match(r"def (\w+)\(", line)) and match[1] in EQUATIONS:
            found.setdefault(heading, []).append(EQUATIONS[match[1]])
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


def main(path: Path) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE)
