"""Each kind of page in a real browser: drawn, quiet, accessible, and no wider than the window."""

from __future__ import annotations

import dataclasses
import json

import pytest

from edgeplan.instances.plans import PlanFile
from edgeplan.report.load_sweeps import sweep_page
from edgeplan.report.page import Page, write_page
from edgeplan.report.plans import plan_page
from edgeplan.report.runs import run_page
from edgeplan.report.simulations import simulation_page
from edgeplan.report.sweeps import SweptPoint
from edgeplan.report.sweeps import sweep_page as parameters_page
from tests.report.conftest import open_watched
from tests.report.hostile import CLOUD, EDGE, IMAGE, PHONE, SCRIPT, hostile_problem
from tests.report.page_helpers import hostile_plan
from tests.report.test_browser import serious
from tests.report.test_run_page import HEAD, open_report

pytestmark = pytest.mark.xdist_group("chromium")


def simulation():
    stream = {
        "mean_seconds": 0.02, "half_width": 0.001, "p50": 0.018, "p95": 0.04, "p99": 0.06,
        "p95_interval": [0.038, 0.043], "predicted": {"mean_seconds": 0.021, "p95": 0.05},
        "slo_attainment": 0.93, "slo_seconds": 0.035, "requests": 900,
    }  # fmt: skip
    load = {"utilisation": 0.4, "jobs": 9, "predicted": {"utilisation": 0.5}}
    return {
        "instance": SCRIPT,
        "requests": 1000,
        "streams": [{**stream, "name": name} for name in (SCRIPT, IMAGE)],
        "devices": [{**load, "name": PHONE}],
        "links": [{**load, "name": f"{PHONE}->{EDGE}"}],
        "notes": [IMAGE],
    }


def load_sweep():
    def plan(latency, *, feasible=True):
        return {
            "feasible": feasible,
            "why": "" if feasible else IMAGE,
            "predicted": {
                "latency_seconds": latency,
                "objective": 3 * latency,
                "devices": [{"name": PHONE, "utilisation": 0.7}],
            },
            "simulated": {
                "latency_seconds": 1.1 * latency,
                "half_width": 0.2 * latency,
                "streams": [{"name": SCRIPT, "p95": 3 * latency}],
            },
        }

    return {
        "instance": SCRIPT,
        "sweep": "rho",
        "points": [
            {"rho": rho, "baselines": {"all-edge": plan(rho, feasible=False), "plan": plan(0.1)}}
            for rho in (0.3, 0.6, 0.9)
        ],
    }


def points():
    return [
        SweptPoint(
            settings={SCRIPT: f"{n} Mbit/s"},
            found={"status": "optimal", "objective": 1 / n, "latency_seconds": 1 / n},
            plan=f"{PHONE}[0-{n}]",
        )
        for n in (1, 2, 20)
    ]


PAGES = {
    "plan": lambda: plan_page(PlanFile(hostile_plan()), hostile_problem()),
    "plan alone": lambda: plan_page(PlanFile(hostile_plan(), about={"status": SCRIPT})),
    "run": lambda: run_page(json.loads(json.dumps({**HEAD, **open_report().as_json()}))),
    "simulation": lambda: simulation_page(simulation()),
    "load sweep": lambda: sweep_page(load_sweep()),
    "sweep": lambda: parameters_page(points(), SCRIPT),
}


def draw_charts(shown):
    charts = shown.locator("[data-figure]")
    for place in range(charts.count()):
        charts.nth(place).scroll_into_view_if_needed()
        charts.nth(place).locator(".main-svg").first.wait_for()


@pytest.mark.parametrize("name", ["plan alone", "simulation"])
def test_a_page_without_charts_and_one_with_them(chromium, tmp_path, name):
    page = PAGES[name]()
    file = tmp_path / "page.html"
    write_page(page, file)
    # On a telephone first: what fits there fits anywhere.
    watched = open_watched(
        chromium, file, viewport={"width": 390, "height": 844}, color_scheme="dark"
    )
    shown = watched.page
    draw_charts(shown)
    assert shown.title() == page.title
    assert shown.locator("h1").inner_text() == page.title
    for width in (390, 1440):
        shown.set_viewport_size({"width": width, "height": 900})
        assert shown.evaluate("document.documentElement.scrollWidth") == width
    shown.emulate_media(media="print")
    assert not shown.locator("#theme").is_visible()
    watched.check()
    shown.context.close()


def test_all_kinds_are_drawn_and_accessible_in_dark_and_light(chromium, tmp_path):
    """All on one page, so that the charts' library is loaded once."""
    sections = []
    for kind, make in PAGES.items():
        key = kind.replace(" ", "-")
        for each in make().sections:
            figures = tuple(
                dataclasses.replace(figure, id=f"{key}-{figure.id}") for figure in each.figures
            )
            sections.append(dataclasses.replace(each, id=f"{key}-{each.id}", figures=figures))
    file = tmp_path / "page.html"
    write_page(Page(kind="all", title="All kinds", subtitle="", sections=tuple(sections)), file)
    watched = open_watched(
        chromium, file, viewport={"width": 390, "height": 844}, color_scheme="dark"
    )
    shown = watched.page
    draw_charts(shown)
    assert shown.evaluate("document.documentElement.scrollWidth") == 390
    assert serious(shown) == []
    dark = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    shown.locator("#theme").click()
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    shown.set_viewport_size({"width": 1440, "height": 900})
    shown.wait_for_function("document.documentElement.scrollWidth === 1440")
    assert serious(shown) == []
    watched.check()
    shown.context.close()


def test_a_drawing_is_wide_on_wide_screens_and_narrow_on_narrow_ones(chromium, tmp_path):
    file = tmp_path / "page.html"
    write_page(PAGES["plan"](), file)
    watched = open_watched(chromium, file, viewport={"width": 1440, "height": 900})
    shown = watched.page
    wide, narrow = shown.locator(".drawing-wide"), shown.locator(".drawing-narrow")
    assert wide.is_visible()
    assert not narrow.is_visible()
    stages = wide.locator(".stage")
    assert stages.count() == 4
    # A text that is longer than its plate would lie over the next.
    for place in range(stages.count()):
        plate = stages.nth(place).locator(".plate").bounding_box()
        for text in stages.nth(place).locator("text").all():
            box = text.bounding_box()
            assert box["x"] + box["width"] <= plate["x"] + plate["width"] + 1
    shown.set_viewport_size({"width": 390, "height": 844})
    assert narrow.is_visible()
    assert not wide.is_visible()
    assert CLOUD in narrow.text_content()

    # Steps fold and unfold by the keyboard.
    folded = shown.locator("details.folded > summary").last
    opened = folded.evaluate("each => each.parentElement.open")
    folded.focus()
    shown.keyboard.press("Enter")
    assert folded.evaluate("each => each.parentElement.open") != opened
    watched.check()
    shown.context.close()
