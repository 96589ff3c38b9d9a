"""Drawings: what they show, where it lies, and that no name gets out of its text."""

from __future__ import annotations

import dataclasses
import itertools
import re

import pytest

from edgeplan.instances.bundled import load
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan, Route, whole
from edgeplan.model.problem import Device, Link
from edgeplan.report.drawing import drawing, drawings, scene, scene_of_routes, without_idle
from edgeplan.report.layout import below_each_other, side_by_side
from edgeplan.report.scene import MOST_ARROWS, MOST_DEVICES
from tests.report.hostile import CLOUD, EDGE, PHONE, SCRIPT, hostile_problem
from tests.report.page_helpers import hostile_plan, read


@pytest.fixture(scope="module")
def problem():
    return hostile_problem()


@pytest.fixture(scope="module")
def shown(problem):
    return scene(problem, evaluate(problem, hostile_plan()))


def test_stages_stand_at_their_devices_with_the_evaluators_times(problem, shown):
    by_name = {device.name: device for device in shown.devices}
    (first,) = by_name[PHONE].stages
    assert (first.stream, first.first, first.stop, first.layers) == (SCRIPT, 0, 1, 3)
    assert first.seconds == pytest.approx(0.02)
    assert [stage.stream for stage in by_name[EDGE].stages] == [SCRIPT, hostile_names()[1]]
    assert by_name[PHONE].origin_of == (SCRIPT,)
    assert by_name[CLOUD].utilisation == pytest.approx(0.002)


def hostile_names():
    return list(hostile_plan().routes)


def test_transfers_are_those_of_the_evaluator(problem, shown):
    price = evaluate(problem, hostile_plan()).streams[0].routes[0]
    expected = {(t.source, t.target): t for t in price.transfers}
    found = {(move.source, move.target): move for move in shown.transfers}
    assert set(found) == set(expected)
    for ends, transfer in expected.items():
        assert found[ends].bytes == pytest.approx(transfer.bytes)
        assert found[ends].seconds == pytest.approx(transfer.seconds)


def test_transfers_of_several_streams_on_one_link_are_averaged_by_their_rates(problem):
    both = Plan(routes=dict.fromkeys(hostile_names(), (Route(devices=(EDGE, EDGE, CLOUD)),)))
    evaluation = evaluate(problem, both)
    found = scene(problem, evaluation)
    (move,) = [each for each in found.transfers if each.target == CLOUD]
    one, two = (
        next(t for t in price.routes[0].transfers if t.target == CLOUD)
        for price in evaluation.streams
    )
    # The second stream has twice the rate of the first.
    assert move.seconds == pytest.approx((one.seconds + 2 * two.seconds) / 3)
    assert move.streams == (0, 1)


@pytest.mark.parametrize("lay_out", [side_by_side, below_each_other])
@pytest.mark.parametrize("name", ["hostile", "four-sites-skewed", "privacy", "budget-bound"])
def test_boxes_lie_within_the_picture_and_apart(lay_out, name):
    if name == "hostile":
        made, plan = hostile_problem(), hostile_plan()
    else:
        made = load(name).problem
        plan = whole(made, {stream.name: stream.origin for stream in made.streams})
    placed = lay_out(scene(made, evaluate(made, plan)))
    for box in placed.devices:
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= placed.width
        assert box.y + box.height <= placed.height
        for stage in box.stages:
            assert box.x <= stage.x
            assert stage.x + stage.width <= box.x + box.width
            assert stage.y + stage.height <= box.y + box.height
    for one, two in itertools.combinations(placed.devices, 2):
        apart = (
            one.x + one.width <= two.x
            or two.x + two.width <= one.x
            or one.y + one.height <= two.y
            or two.y + two.height <= one.y
        )
        assert apart, (one.name, two.name)


def test_arrows_begin_and_end_at_their_boxes(shown):
    placed = side_by_side(shown)
    boxes = {box.title: box for box in placed.devices}
    for move, arrow in zip(shown.transfers, placed.transfers, strict=True):
        numbers = [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", arrow.path)]
        for (x, y), name in zip(
            (numbers[:2], numbers[-2:]), (move.source, move.target), strict=True
        ):
            box = boxes[name]
            assert x == pytest.approx(box.x, abs=0.1) or x == pytest.approx(
                box.x + box.width, abs=0.1
            )
            assert box.y < y < box.y + box.height


def test_tiers_stand_in_order_whatever_the_order_of_the_devices():
    made = hostile_problem()
    turned = dataclasses.replace(made, devices=tuple(reversed(made.devices)))
    placed = side_by_side(scene(turned, evaluate(turned, hostile_plan())))
    assert [text for _, _, text in placed.headings] == ["device", "edge", "cloud"]
    xs = [x for x, _, _ in placed.headings]
    assert xs == sorted(xs)


def test_the_picture_holds_no_element_that_a_name_asked_for(shown):
    text = str(drawing(shown))
    found = read(text)
    assert "script" not in found.tags
    assert {"svg", "g", "title", "rect", "text", "path", "polygon"} >= set(found.tags)
    assert SCRIPT in found.text
    assert found.tags.count("svg") == 2


def test_the_picture_is_told_in_words(shown):
    assert f"{SCRIPT}: layers 0 to 0 of 3 on {PHONE}, 20.0 ms" in shown.words
    assert f"{PHONE} sends 80.0 kB to {EDGE}" in shown.words
    assert 'aria-label="&lt;script&gt;' in str(drawing(shown))
    assert str(drawing(shown)).count('class="busy"') == 2 * 3  # a bar in each box, of each picture


def test_without_the_problem_stages_have_no_times():
    found = scene_of_routes(hostile_plan())
    assert [device.name for device in found.devices] == [PHONE, EDGE, CLOUD]
    assert all(stage.seconds is None for device in found.devices for stage in device.stages)
    assert [(move.source, move.target) for move in found.transfers] == [
        (PHONE, EDGE),
        (EDGE, CLOUD),
    ]
    assert " ms" not in read(str(drawing(found))).text
    assert 'class="busy"' not in str(drawing(found))


def test_what_is_too_much_is_left_out_and_said():
    made = hostile_problem()
    more = tuple(Device(name=f"spare-{n}", tier="edge") for n in range(MOST_DEVICES))
    links = tuple(
        Link(source=PHONE, target=device.name, bytes_per_second=1e6) for device in more[:2]
    )
    large = dataclasses.replace(made, devices=(*made.devices, *more), links=(*made.links, *links))
    found = scene(large, evaluate(large, hostile_plan()))
    assert len(found.devices) == MOST_DEVICES
    assert {PHONE, EDGE, CLOUD} <= {device.name for device in found.devices}
    assert found.left_out == ("3 more devices that run nothing",)


def test_many_arrows_are_cut_to_the_slowest():
    made = hostile_problem()
    found = scene(made, evaluate(made, hostile_plan()))
    assert len(found.transfers) <= MOST_ARROWS
    routes = {f"s{n}": (Route(devices=(f"d{n % 20}", f"d{(n * 7 + 3) % 20}")),) for n in range(120)}
    crowd = scene_of_routes(Plan(routes=routes))
    assert len(crowd.transfers) <= MOST_ARROWS
    placed = below_each_other(crowd)
    assert len(placed.transfers) == len(crowd.transfers)


def test_drawings_of_many_are_those_of_each():
    """Joined again, the lines of a plan are its drawing; what is idle is said below it."""
    plans = [
        hostile_plan(),
        Plan(routes=dict.fromkeys(hostile_names(), (Route(devices=(EDGE,) * 3),))),
    ]
    made = hostile_problem()
    scenes = [scene(made, evaluate(made, plan)) for plan in plans]
    found = drawings(scenes)
    assert len(found["lines"]) == len(set(found["lines"]))
    for each, numbers in zip(scenes, found["plans"], strict=True):
        told = read("\n".join(found["lines"][number] for number in numbers))
        assert set(told.tags) <= {
            "svg",
            "g",
            "title",
            "rect",
            "text",
            "path",
            "polygon",
            "figcaption",
        }
        placed = below_each_other(without_idle(each))
        for box in placed.devices:
            assert " ".join(box.title.split()) in told.text
            assert all(stage.layers in told.text for stage in box.stages)
        assert told.tags.count("path") == len(each.transfers)
    assert CLOUD in {device.name for device in scenes[1].devices}
    assert CLOUD not in {device.name for device in without_idle(scenes[1]).devices}
    assert "Not drawn: 1 device that runs nothing." in told.text
