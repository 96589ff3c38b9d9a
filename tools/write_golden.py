"""Write the golden LP file of every equation, after a change that was meant.

Usage: python tools/write_golden.py [FOLDER [FOLDER]]

The first folder is that of the program on layers, the second that of queues and routes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import queueing_witness
import witnesses

TESTS = Path(__file__).parent.parent / "tests" / "model" / "formulation"
FOLDER = TESTS / "golden"
QUEUEING = TESTS / "queueing_golden"


def main(folder: Path = FOLDER, queueing: Path = QUEUEING) -> None:
    """Write the files of both programs; remove those of equations that are no more."""
    _write(folder, witnesses.golden_texts())
    _write(queueing, queueing_witness.golden_texts())


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.lp"):
        if path.stem not in texts:
            path.unlink()
    for name, text in texts.items():
        (folder / f"{name}.lp").write_text(text, encoding="utf-8")
    print(f"{len(texts)} files in {folder}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
