"""``python -m edgeplan`` is the command line."""

from __future__ import annotations

from edgeplan.cli import main

if __name__ == "__main__":
    main()
