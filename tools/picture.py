"""Draw what a command prints as an SVG: ``python tools/picture.py OUT.svg -- COMMAND ...``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 108


def main(arguments: list[str]) -> int:
    """Run the command in a coloured terminal of fixed width and draw its standard output."""
    if len(arguments) < 3 or arguments[1] != "--":
        print(__doc__)
        return 2
    destination, command = Path(arguments[0]), arguments[2:]
    environment = {
        **os.environ,
        "COLUMNS": str(WIDTH),
        "FORCE_COLOR": "1",
        "TERM": "xterm-256color",
    }
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    console = Console(record=True, width=WIDTH, file=StringIO())
    shown = " ".join([Path(command[0]).name, *command[1:]])
    console.print(Text(f"$ {shown}", style="bold"))
    console.print(Text.from_ansi(run.stdout.rstrip()))
    svg = console.export_svg(title="edgeplan", unique_id="edgeplan")
    # No fonts from elsewhere: the picture is complete as it stands.
    svg = re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL)
    destination.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")
    print(f"{destination}: {len(svg) / 1024:.0f} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
