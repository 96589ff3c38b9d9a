"""Pages of fronts in a real browser: what they weigh, and when they can be used.

Of the demo's front (found here, where `make demo` left its instance) and of 5,000 points: bytes of
the page, seconds to make it, and in Chromium, from the start of the navigation, until the text is
there (first paint), until table, buttons and the plan's panel answer (ready), and until the first
picture is drawn; and how long the page's main thread was at work until then, which a busy machine
does not change much. Medians of three loads, each in a new context. WebGL is computed in software.
Only the weight is asserted: time is the machine's.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.compare_fronts import LAYERS, STREAMS
from benchmarks.compare_fronts import front as random_front
from edgeplan.instances.instance import Instance
from edgeplan.instances.kept import keep
from edgeplan.instances.plans import fingerprint
from edgeplan.instances.read import read_instance
from edgeplan.model.problem import Problem
from edgeplan.pareto.engine import pareto
from edgeplan.pareto.files import INSTANCE_NAME, JOURNAL_NAME
from edgeplan.report.page import write_page
from edgeplan.report.read import build

MOST_BYTES = 6_000_000
LOADS = 3
DEMO = Path(__file__).parent.parent / "demo" / "instance.yaml"
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
_MARKS = """() => ({
  paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null,
  ready: performance.getEntriesByName("edgeplan-ready")[0].startTime,
})"""


def folders(root: Path) -> Iterator[tuple[str, Path]]:
    """Write the fronts and yield what they are and where."""
    if DEMO.exists():
        found = pareto_folder(read_instance(DEMO), root / "demo")
        yield f"the demo's front, {found} points with times and loads", root / "demo"
    else:
        print("no demo/instance.yaml: make demo writes it")
    random_front(5000, 3, 1).write(root / "many")
    yield f"5,000 points, {STREAMS} streams of {LAYERS} layers, instance unknown", root / "many"


def pareto_folder(instance: Instance, folder: Path) -> int:
    """Find a front as the command does; return how many points it has."""
    problem: Problem = instance.problem
    folder.mkdir()
    keep(instance, folder / INSTANCE_NAME)
    front = pareto(
        problem,
        ("latency", "energy", "cost"),
        journal=folder / JOURNAL_NAME,
        fingerprint=fingerprint(problem),
    )
    front.write(folder)
    return len(front)


def load(browser: Any, file: Path) -> dict[str, float]:
    """Open a page in a new context; return milliseconds to what is in the module's words."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    try:
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto(file.as_uri(), wait_until="commit")
        page.wait_for_selector("html[data-ready]")
        page.wait_for_selector("#cloud[data-drawn]", timeout=120_000)
        drawn = page.evaluate("performance.now()")
        metrics = session.send("Performance.getMetrics")["metrics"]
        worked = next(each["value"] for each in metrics if each["name"] == "TaskDuration")
        return {**page.evaluate(_MARKS), "drawn": drawn, "main thread": 1e3 * worked}
    finally:
        context.close()


def main() -> None:
    """Print weights and times."""
    chromium = shutil.which("chromium")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        pages = []
        for words, folder in folders(root):
            began = time.perf_counter()
            page = build([folder])
            size = write_page(page, root / f"{folder.name}.html")
            spent = time.perf_counter() - began
            print(f"{words}: {size / 1e6:.2f} MB, made in {spent:.2f} s")
            assert size <= MOST_BYTES, f"{size} bytes"
            pages.append((words, root / f"{folder.name}.html"))
        if chromium is None:
            print("no chromium: tools/install_chromium.sh")
            return
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            for words, file in pages:
                found = [load(browser, file) for _ in range(LOADS)]
                shown = ", ".join(
                    f"{key} {statistics.median(each[key] for each in found):.0f} ms"
                    for key in ("paint", "ready", "drawn", "main thread")
                )
                print(f"{words}: {shown}")
            browser.close()


if __name__ == "__main__":
    main()
