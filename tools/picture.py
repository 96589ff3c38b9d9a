"""Draw what commands print as SVG: ``python tools/picture.py DEMO OUT NAME...``.

DEMO is the folder that ``make demo`` left, OUT the folder of the pictures, each NAME one of
`PICTURES` (all where none is named). Everything is printed by the commands themselves; only times
of solving, and those of the demo's networks, differ from machine to machine.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 108


@dataclass(frozen=True)
class Picture:
    """A picture of commands.

    Parameters
    ----------
    shown
        Commands whose output is drawn.
    before
        Commands that go before, not drawn.
    edit
        Changes files of the folder between the two; ``None`` for nothing.
    """

    shown: tuple[str, ...]
    before: tuple[str, ...] = ()
    edit: Callable[[Path], None] | None = None


def too_small(folder: Path) -> None:
    """Give the starter's gateway too little memory for its networks."""
    file = folder / "site" / "instance.yaml"
    text = file.read_text()
    assert text.count("memory: 1 GiB") == 1
    file.write_text(text.replace("memory: 1 GiB", "memory: 4 MB  "))


PICTURES = {
    "solve": Picture(shown=("edgeplan solve demo/instance.yaml",)),
    "choose": Picture(
        before=("edgeplan pareto demo/instance.yaml -o front --time-limit 240",),
        shown=("edgeplan choose front --max latency=100ms --prefer energy",),
    ),
    "explain": Picture(
        before=("edgeplan init site",),
        edit=too_small,
        shown=("edgeplan explain site/instance.yaml",),
    ),
}


def run(command: str, folder: Path) -> str:
    """Run a command in a coloured terminal of fixed width and return its standard output.

    Raises
    ------
    RuntimeError
        If it does not end with an answer (3, infeasible, is one).
    """
    environment = {
        **os.environ,
        "COLUMNS": str(WIDTH),
        "FORCE_COLOR": "1",
        "TERM": "xterm-256color",
        "PYTHONIOENCODING": "utf-8",
    }
    environment.pop("NO_COLOR", None)
    words = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 3):
        raise RuntimeError(f"{command}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def draw(picture: Picture, demo: Path) -> str:
    """Return a picture as SVG, complete as it stands: without fonts from elsewhere."""
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    with tempfile.TemporaryDirectory(prefix="edgeplan-picture-") as scratch:
        folder = Path(scratch)
        if demo.is_dir():
            shutil.copytree(demo, folder / "demo")
        for command in picture.before:
            run(command, folder)
        if picture.edit is not None:
            picture.edit(folder)
        for command in picture.shown:
            console.print(Text(f"$ {command}", style="bold"))
            console.print(Text.from_ansi(run(command, folder).rstrip()))
    svg = console.export_svg(title="edgeplan", unique_id="edgeplan")
    svg = re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def main(arguments: list[str]) -> int:
    """Draw the pictures that are named, all where none is."""
    if len(arguments) < 2 or not set(arguments[2:]) <= set(PICTURES):
        print(__doc__)
        return 2
    demo, out, *names = arguments
    for name in names or PICTURES:
        svg = draw(PICTURES[name], Path(demo))
        file = Path(out) / f"{name}.svg"
        file.write_text(svg)
        print(f"{file}: {len(svg) / 1024:.0f} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
