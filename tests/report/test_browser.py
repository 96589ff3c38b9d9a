"""The page of a front in a real browser, its names as hostile as names can be.

One page is opened and used; each test begins by keeping all points.
"""

from __future__ import annotations

import pytest

from edgeplan.cli import units
from edgeplan.model.evaluate import evaluate
from edgeplan.report.drawing import scene, without_idle
from edgeplan.report.layout import below_each_other
from edgeplan.report.page import write_page
from edgeplan.report.read import build
from tests.report.conftest import open_watched
from tests.report.hostile import hostile_front, hostile_problem

pytestmark = pytest.mark.xdist_group("chromium")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("front")


@pytest.fixture(scope="module")
def front(folder):
    return hostile_front(folder)


@pytest.fixture(scope="module")
def watched(chromium, front, folder):
    file = folder / "page.html"
    write_page(build([folder]), file)
    watched = open_watched(
        chromium, file, viewport={"width": 1300, "height": 900}, color_scheme="light"
    )
    page = watched.page
    page.wait_for_selector("html[data-ready]")
    page.wait_for_selector("#cloud[data-drawn]")
    yield watched
    watched.check()
    page.context.close()


@pytest.fixture
def page(watched):
    page = watched.page
    page.set_viewport_size({"width": 1300, "height": 900})
    clear = page.get_by_role("button", name="Keep all")
    if clear.is_enabled():
        clear.click()
    yield page
    watched.check()


def chosen(page):
    """The number of the chosen point, as the page has it."""
    return page.evaluate("edgeplan.points.chosen")


def seen(page, name):
    """Bring a picture into view and wait until it is drawn."""
    page.locator(f"#{name}").scroll_into_view_if_needed()
    page.wait_for_selector(f"#{name}[data-drawn]")
    return page.locator(f"#{name}")


def test_it_opens_with_the_knee_and_its_plan(page, front):
    assert page.locator("#plan-title").inner_text().startswith("Point ")
    assert "knee" in page.locator("#plan").inner_text()
    page.wait_for_selector("#plan svg.drawing")
    assert page.locator("#plan svg.drawing .stage").count() >= 2
    assert page.locator("#plan .waterfall tbody tr").count() >= 1
    rows = page.locator("#table tbody tr").count()
    assert rows == min(25, page.evaluate("edgeplan.points.count"))
    assert page.evaluate("edgeplan.points.sets[0].end") == len(front)


def test_a_click_on_a_point_opens_its_plan(page, front):
    seen(page, "matrix")
    page.evaluate("edgeplan.points.choose(0)")
    # Where plotly put the last point of the front, from its own axes.
    target = len(front) - 1
    x, y = page.evaluate(
        """(index) => {
          const element = document.getElementById("matrix");
          const { xaxis, yaxis } = element._fullLayout;
          const [a, b] = edgeplan.points.objectives;
          const box = element.getBoundingClientRect();
          return [box.left + xaxis._offset + xaxis.d2p(a.column[index] / a.factor),
                  box.top + yaxis._offset + yaxis.d2p(b.column[index] / b.factor)];
        }""",
        target,
    )
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    page.wait_for_timeout(150)  # plotly looks for the point below the pointer
    page.mouse.click(x, y)
    page.wait_for_function("edgeplan.points.chosen !== 0")
    index = chosen(page)
    # Another point may lie at the very same place of this pair of objectives.
    values = front.points[index].values
    assert values[:2] == pytest.approx(front.points[target].values[:2], rel=0.05)
    assert page.locator("#plan-title").inner_text() == f"Point {index}"
    assert page.locator('#table tr[aria-selected="true"]').get_attribute("data-point") == str(index)


def test_an_axis_that_is_brushed_keeps_the_points_within(page, front):
    seen(page, "lines")
    box = page.locator("#lines .axis-brush .background").first.bounding_box()
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + 0.45 * box["height"])
    page.mouse.down()
    for share in (0.6, 0.8, 1.0):
        page.mouse.move(middle, box["y"] + share * box["height"])
    page.mouse.up()
    page.wait_for_function("edgeplan.points.ranges[0] !== null")
    low, high = page.evaluate("edgeplan.points.ranges[0]")
    within = [point for point in front.points if low <= point.values[0] <= high]
    assert 0 < len(within) < len(front)
    kept = page.evaluate("[...edgeplan.points.kept].slice(0, edgeplan.points.sets[0].end)")
    assert sum(kept) == len(within)
    everything = page.evaluate("edgeplan.points.count")
    status = page.locator("#table-status").inner_text()
    assert f"{page.evaluate('edgeplan.points.keptCount')} of {everything}" in status
    # The fields say the same range, and clearing them keeps all again.
    field = page.get_by_label("most latency").input_value()
    factor = page.evaluate("edgeplan.points.objectives[0].factor")
    assert float(field) * factor == pytest.approx(high, rel=1e-4)
    page.get_by_role("button", name="Keep all").click()
    assert page.evaluate("edgeplan.points.keptCount") == everything
    ranges = "document.getElementById('lines').data[0].dimensions.map((d) => d.constraintrange)"
    page.wait_for_function(f"{ranges}.every((range) => !range)")


def test_fields_brush_the_lines(page, front):
    seen(page, "lines")
    limit = sorted(point.values[1] for point in front.points)[len(front) // 2]
    factor = page.evaluate("edgeplan.points.objectives[1].factor")
    field = page.get_by_label("most energy")
    field.fill(repr(limit / factor))
    field.press("Tab")
    page.wait_for_function(
        "document.getElementById('lines').data[0].dimensions[1].constraintrange !== undefined"
    )
    kept = page.evaluate("[...edgeplan.points.kept].slice(0, edgeplan.points.sets[0].end)")
    assert sum(kept) == sum(point.values[1] <= limit for point in front.points)
    rows = page.locator("#table tbody tr")
    assert rows.count() == min(25, page.evaluate("edgeplan.points.keptCount"))


def rings(page):
    """Where rings stand: by the words beside each, its place."""
    return page.evaluate(
        """() => [...document.querySelectorAll("#lines .rings circle")].map((ring) => [
          Number(ring.getAttribute("cx")), Number(ring.getAttribute("cy")),
          ring.nextSibling.textContent])"""
    )


def test_the_chosen_line_is_ringed_with_its_values(page, front):
    seen(page, "lines")
    lines = page.locator("#lines .axis-brush .background")
    boxes = sorted((lines.nth(k).bounding_box() for k in range(3)), key=lambda box: box["x"])
    frame = page.locator("#lines .svg-container").bounding_box()
    for index in (0, len(front) - 1):
        page.evaluate("(index) => edgeplan.points.choose(index)", index)
        words = page.evaluate(
            "(i) => edgeplan.points.objectives.map((o, k) => edgeplan.points.show(k, o.column[i]))",
            index,
        )
        page.wait_for_function(
            "(text) => document.querySelector('#lines .rings text')?.textContent === text",
            arg=words[0],
        )
        found = sorted(rings(page))
        assert [text for _, _, text in found] == words
        # The line itself is drawn once more, dashed: it is not told by its colour alone.
        path, dashes = page.evaluate(
            """() => { const line = document.querySelector("#lines .rings polyline:not(.halo)");
              return [line.getAttribute("points"), getComputedStyle(line).strokeDasharray]; }"""
        )
        corners = [tuple(map(float, corner.split(","))) for corner in path.split()]
        assert corners == [(x, y) for x, y, _ in found]
        assert dashes != "none"
        for k, (x, y, _) in enumerate(found):
            column = [point.values[k] for point in front.points]
            everything = page.evaluate("(k) => [...edgeplan.points.objectives[k].column]", k)
            low, high = min(everything), max(everything)
            share = (column[index] - low) / (high - low)
            box = boxes[k]
            assert abs(frame["x"] + x - (box["x"] + box["width"] / 2)) < 8
            assert abs(frame["y"] + y - (box["y"] + (1 - share) * box["height"])) < 16


def test_an_axis_that_is_dragged_keeps_its_range(page, front):
    seen(page, "lines")
    title = page.locator("#lines .axis-title").first.bounding_box()
    last = page.locator("#lines .axis-title").last.bounding_box()
    y = title["y"] + title["height"] / 2
    page.mouse.move(title["x"] + title["width"] / 2, y)
    page.mouse.down()
    for share in (0.3, 0.6, 0.9, 1.1):
        page.mouse.move(title["x"] + title["width"] / 2 + share * (last["x"] - title["x"]), y)
    page.mouse.up()
    labels = "document.getElementById('lines').data[0].dimensions.map((d) => d.label)"
    names = page.evaluate("edgeplan.points.objectives.map((o) => o.label)")
    page.wait_for_function(f"(first) => {labels}[0] !== first", arg=names[0])
    page.evaluate(
        "edgeplan.points.setRanges([null, [0, edgeplan.points.objectives[1].least], null])"
    )
    place = page.evaluate(labels).index(names[1])
    assert place != 1
    brushed = f"document.getElementById('lines').data[0].dimensions[{place}].constraintrange"
    page.wait_for_function(f"{brushed} !== undefined")
    assert page.evaluate(labels)[place] == names[1]
    assert page.evaluate("edgeplan.points.ranges[0]") is None
    least = min(point.values[1] for point in front.points)
    assert page.evaluate("edgeplan.points.ranges[1][1]") == pytest.approx(least)


def test_nothing_is_folded_on_paper(page):
    page.evaluate("edgeplan.points.choose(0)")
    closed = "document.querySelectorAll('details:not([open])').length"
    before = page.evaluate(closed)
    assert before >= 1
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(closed) == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(closed) == before


def test_on_paper_charts_fit_a_sheet_and_tables_keep_their_heads(page):
    seen(page, "lines")
    seen(page, "matrix")
    widths = """() => [...document.querySelectorAll(".plot")].map((plot) =>
      [plot.id, plot.querySelector(".main-svg").getBoundingClientRect().width])"""
    before = dict(page.evaluate(widths))
    assert before["cloud"] > 700
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    on_paper = dict(page.evaluate(widths))
    page.emulate_media(media="print")
    heads = [head.strip() for head in page.locator("#table thead th").all_inner_texts()]
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert set(on_paper) == set(before)
    assert {name: width for name, width in on_paper.items() if not 600 < width < 681} == {}
    assert len(heads) == 5
    assert all(heads)
    page.wait_for_function(
        "(wide) => Math.abs(document.querySelector('#matrix .main-svg').clientWidth - wide) < 2",
        arg=before["matrix"],
    )
    assert page.evaluate("document.getElementById('cloud').style.zoom") == ""


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.02, "s", units.seconds),
        (1.0, "s", units.seconds),
        (0.0001234, "s", units.seconds),
        (0.99999, "s", units.seconds),
        (0.0, "s", units.seconds),
        (4000.0, "B", units.size),
        (20e6, "B", units.size),
        (0.0123, "J", units.joules),
    ],
)
def test_numbers_are_written_as_the_commands_write_them(page, value, unit, shown):
    found = page.evaluate("([v, u]) => edgeplan.units.si(v, u, 3)", [value, unit])
    assert found == shown(value)


def drawn(page):
    """The devices of the drawing with their stages, and how many arrows."""
    return page.evaluate(
        """() => {
          const all = (box, name) => [...box.querySelectorAll(name)];
          const text = (box, name) => box.querySelector(name).textContent;
          const picture = document.querySelector("#plan svg.drawing");
          const boxes = all(picture, ".machine").map((box) => [
            text(box, ".name"),
            all(box, ".stage").map((stage) => [text(stage, ".stream"), text(stage, ".layers")]),
          ]);
          return [boxes, all(picture, ".transfer").length];
        }"""
    )


def test_its_drawing_is_what_was_laid_out_for_the_plan(page, front):
    problem = hostile_problem()
    page.wait_for_selector("#plan svg.drawing")
    for index, point in enumerate(front.points):
        shown = without_idle(scene(problem, evaluate(problem, point.plan)))
        placed = below_each_other(shown)
        page.evaluate("(index) => edgeplan.points.choose(index)", index)
        boxes, arrows = drawn(page)
        assert boxes == [
            [box.name, [[stage.name, stage.layers] for stage in box.stages]]
            for box in placed.devices
        ]
        assert arrows == len(shown.transfers)
        for move in shown.transfers:  # written in the box where it arrives
            assert f"← {move.source[:15]}" in page.locator("#plan svg.drawing").text_content()


def test_the_keyboard_moves_in_the_table_and_opens_a_plan(page):
    page.get_by_role("button", name="least latency").click()
    first = page.locator('#table tbody tr[tabindex="0"]')
    assert first.count() == 1
    first.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    focused = page.evaluate("document.activeElement.dataset.point")
    assert focused == page.locator("#table tbody tr").nth(2).get_attribute("data-point")
    page.keyboard.press("Enter")
    assert str(chosen(page)) == focused
    # The row keeps the focus though the table was drawn anew, and says that it is chosen.
    assert page.evaluate("document.activeElement.dataset.point") == focused
    assert page.evaluate("document.activeElement.getAttribute('aria-selected')") == "true"
    page.keyboard.press("End")
    last = page.evaluate("document.activeElement.getAttribute('aria-rowindex')")
    assert last == page.locator("#table").get_attribute("aria-rowcount")


def test_a_column_sorts_the_table(page, front):
    button = page.locator("#table th button", has_text="energy")
    button.click()
    header = page.locator("#table th[aria-sort]")
    assert header.get_attribute("aria-sort") == "ascending"
    least = min(range(len(front)), key=lambda index: front.points[index].values[1])
    page.locator("#table tbody tr").first.click()
    assert page.evaluate("edgeplan.points.objectives[1].column[edgeplan.points.chosen]") <= (
        front.points[least].values[1] * (1 + 1e-9)
    )
    button.click()
    assert header.get_attribute("aria-sort") == "descending"


def test_the_first_tab_offers_to_skip_to_the_content(page):
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.evaluate("document.querySelector('.skip').focus()")
    skip = page.locator(".skip")
    assert skip.bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def serious(page):
    """Findings of axe that matter."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['help']}: {[node['html'][:160] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def test_it_is_accessible_in_light_and_dark_and_switches_between(page):
    seen(page, "matrix")
    seen(page, "lines")
    theme = page.locator("#theme")
    backgrounds = {}
    for name in ("light", "dark"):
        theme.click()
        assert page.locator("html").get_attribute("data-theme") == name
        ink = page.evaluate("edgeplan.colour('--ink')")
        page.wait_for_function(
            "(ink) => document.getElementById('matrix').layout.font.color === ink", arg=ink
        )
        backgrounds[name] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert serious(page) == []
    assert backgrounds["light"] != backgrounds["dark"]
    theme.click()
    assert page.locator("html").get_attribute("data-theme") is None


def test_a_narrow_window_needs_no_scrolling_sideways(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
    page.evaluate("edgeplan.points.choose(0); edgeplan.points.choose(1)")
    bar = page.locator("#chosen")
    assert bar.is_visible()
    bar.get_by_role("link").click()
    top = page.locator("#plan").bounding_box()["y"]
    assert -5 <= top <= 60
    assert serious(page) == []


def test_names_that_are_code_stay_text(page, watched):
    text = page.locator("body").inner_text()
    assert "<script>alert(1)</script>" in text
    assert page.locator("img").count() == 0
    assert page.title().count("<svg onload") == 1
    assert watched.dialogs == []
