"""Run every benchmark: ``python -m benchmarks``."""

from __future__ import annotations

from benchmarks import assemble, import_time, solve


def main() -> None:
    """Run them one after the other; the machine is too small for more."""
    for benchmark in (import_time, solve, assemble):
        print(f"== {benchmark.__name__}")
        benchmark.main()


if __name__ == "__main__":
    main()
