"""Run the commands of documentation pages and compare what they print with what the pages say.

Usage: python tools/run_docs.py [PAGE …]

In a page, a fenced block ``console`` has commands behind ``$`` and below each what it printed; a
line ``…`` there stands for any number of lines, and within a line for anything. A fenced block
with ``title="NAME"`` is a file. All blocks of a page run in one folder, made anew, with
``net.onnx`` in it. Spaces at the ends of lines do not count. A command must succeed; where it must
not, the page says so by ``; echo "exit code $?"``. Python sessions (``>>>``) are doctests.
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted((DOCS / "tutorials").glob("*.md")), DOCS / "embed.md", DOCS / "infeasible.md"]
NETWORK = ROOT / ".zoo" / "squeezenet.onnx"
FENCE = re.compile(r'^```(\w+)(?: title="([\w.-]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
ANY = "…"
LONGEST = 120
"""Seconds that a command may take."""


@dataclass(frozen=True)
class Step:
    """A file to be written, or a command and what it prints."""

    name: str
    text: str
    line: int


def steps(page: str) -> list[Step]:
    """Return what a page does, in order."""
    found = []
    for match in FENCE.finditer(page):
        language, title, body = match.groups()
        line = page[: match.start()].count("\n") + 1
        if title:
            found.append(Step(title, body, line))
        elif language == "console":
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, _, printed = part.partition("\n")
                found.append(Step("$ " + command, printed, line))
    return found


def missing(expected: str, printed: str) -> str | None:
    """Return the first line that is expected and was not printed there; ``None`` if all were."""
    lines = [line.rstrip() for line in printed.splitlines()]
    place, anywhere = 0, False
    for line in (each.rstrip() for each in expected.splitlines()):
        if line == ANY:
            anywhere = True
            continue
        reach = range(place, len(lines) if anywhere else min(place + 1, len(lines)))
        like = re.compile(".*".join(re.escape(part) for part in line.split(ANY)))
        # "said …" also stands for "said" alone.
        there = next(
            (k for k in reach if like.fullmatch(lines[k]) or like.fullmatch(lines[k] + " ")), None
        )
        if there is None:
            return line
        place, anywhere = there + 1, False
    rest = [line for line in lines[place:] if line]
    return None if anywhere or not rest else f"(nothing more, but there is) {rest[0]}"


def run(page: Path) -> str | None:
    """Run a page; return what is wrong with it."""
    text = page.read_text(encoding="utf-8")
    if ">>> " in text:
        options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
        failed, tried = doctest.testfile(str(page), module_relative=False, optionflags=options)
        return f"{failed} of {tried} examples" if failed else None
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "PYTHONUTF8": "1",
    }
    with tempfile.TemporaryDirectory(prefix="edgeplan-docs-") as folder:
        shutil.copy(NETWORK, Path(folder) / "net.onnx")
        found = steps(text)
        if not found:
            return "nothing to run"
        for step in found:
            if not step.name.startswith("$ "):
                (Path(folder) / step.name).write_text(step.text, encoding="utf-8")
                continue
            # What the pages say is ours, and run as a reader would type it.
            done = subprocess.run(
                step.name[2:],
                shell=True,
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=LONGEST,
                check=False,
            )
            where = f"{page.relative_to(ROOT)}:{step.line}: {step.name}"
            if done.returncode:
                return f"{where}\nexit code {done.returncode}\n{done.stderr}"
            lacking = missing(step.text, done.stdout)
            if lacking is not None:
                return f"{where}\nnot printed: {lacking}\n{done.stdout}{done.stderr}"
    return None


def main(pages: list[Path]) -> int:
    """Run pages, print the time of each and of all, and return the exit code."""
    if not NETWORK.exists():
        print(f"{NETWORK} is missing: make zoo")
        return 1
    wrong, start = 0, time.monotonic()
    for page in pages:
        began = time.monotonic()
        fault = run(page.resolve())
        seconds = time.monotonic() - began
        print(f"{page.name}: {seconds:.1f} s, {'as it says' if fault is None else 'DIFFERS'}")
        if fault is not None:
            wrong += 1
            print(fault)
    print(f"{len(pages)} pages: {time.monotonic() - start:.1f} s")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]] or PAGES))
