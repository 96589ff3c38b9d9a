"""Write the golden LP file of every equation, after a change that was meant.

Usage: python tools/write_golden.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

from witnesses import golden_texts

FOLDER = Path(__file__).parent.parent / "tests" / "model" / "formulation" / "golden"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    texts = golden_texts()
    for path in folder.glob("*.lp"):
        if path.stem not in texts:
            path.unlink()
    for name, text in texts.items():
        (folder / f"{name}.lp").write_text(text, encoding="utf-8")
    print(f"{len(texts)} files in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
