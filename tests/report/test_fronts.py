"""Pages of fronts, without a browser: what they carry, what they weigh, what is refused."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import importlib.util
import itertools
import json
import re
import shutil
import zlib
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from edgeplan.cli import app
from edgeplan.instances.plans import write_plan
from edgeplan.instances.write import write_instance
from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import whole
from edgeplan.pareto.files import JOURNAL_NAME, read_front
from edgeplan.pareto.journal import read_entries
from edgeplan.report.front_data import plans_tree
from edgeplan.report.page import json_text, render
from edgeplan.report.read import build
from tests.report.hostile import hostile_front, hostile_problem, large_front

SIX_MEGABYTES = 6_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("front")
    hostile_front(folder)
    return folder


@pytest.fixture(scope="module")
def html(folder):
    return render(build([folder]))


class Seen(HTMLParser):
    """Elements, attributes and blocks of data of a page."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.attributes, self.blocks, self._script = [], [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        named = dict(attrs)
        self._script = (named.get("type", ""), named.get("id", "")) if tag == "script" else None

    def handle_data(self, data):
        if self._script is not None:
            self.blocks[self._script] = data

    def handle_endtag(self, tag):
        self._script = None

    def data(self, name):
        for (kind, key), text in self.blocks.items():
            if key == f"data-{name}":
                packed = kind.endswith("packed-json")
                return json.loads(zlib.decompress(base64.b64decode(text)) if packed else text)
        raise KeyError(name)


def test_names_that_are_code_are_text(html):
    seen = Seen(html)
    assert "img" not in seen.elements
    assert seen.elements.count("title") == 1
    assert [name for _, name, _ in seen.attributes if name.startswith("on")] == []
    # The page's own code, its data, its library: no script but these.
    assert {kind for kind, _ in seen.blocks} <= {
        "", "application/json", "application/x-packed-json", "application/x-packed-script",
    }  # fmt: skip
    assert "<script>alert" not in html


def test_nothing_is_loaded_and_only_the_pages_own_code_may_run(html):
    seen = Seen(html)
    loads = [a for a in seen.attributes if a[1] in ("src", "srcset", "data", "action", "poster")]
    assert loads == []
    links = [value for _, name, value in seen.attributes if name == "href"]
    assert all(link.startswith("#") for link in links)
    assert not re.search(r"@import|url\(", html)
    policy = next(v for _, n, v in seen.attributes if n == "content" and "default-src" in v)
    assert "default-src 'none'" in policy
    script = policy.split("script-src")[1].split(";")[0]
    assert "unsafe-inline" not in script
    own = next(text for (kind, _), text in seen.blocks.items() if kind == "")
    packed = next(text for (kind, _), text in seen.blocks.items() if kind.endswith("-script"))
    for text in (own.encode(), zlib.decompress(base64.b64decode(packed))):
        digest = base64.b64encode(hashlib.sha256(text).digest()).decode()
        assert f"'sha256-{digest}'" in script


def test_the_same_front_gives_the_same_page(folder, html):
    assert render(build([folder])) == html


def test_what_the_page_carries_is_what_the_evaluator_says(folder, html):
    problem = hostile_problem()
    tree = Seen(html).data("front")
    front = build([folder])
    assert [objective["name"] for objective in tree["objectives"]] == ["latency", "energy", "cost"]
    first, baselines = tree["sets"]
    assert baselines["kind"] == "baselines"
    assert baselines["labels"]
    assert front.facts["points"] == len(first["values"][0])
    plans = first["plans"]
    assert plans["streams"] == [stream.name for stream in problem.streams]
    for index, point in enumerate(read_front(folder).points):
        assert [column[index] for column in first["values"]] == pytest.approx(point.values)
        priced = evaluate(problem, point.plan)
        for s, stream in enumerate(priced.streams):
            (way,) = plans["ways"][s][plans["taken"][s][index]]
            parts = [stage[3] for stage in way["stages"]]
            parts += [move[3] for stage in way["stages"] for move in stage[4]]
            parts += [move[3] for move in way["back"]]
            assert sum(parts) + way["fill"] == pytest.approx(stream.latency_seconds)
        for d, load in enumerate(priced.devices):
            column = plans["loads"]["devices"][d]
            assert (column[index] if column else 0) == pytest.approx(load.utilisation, rel=1e-3)
            column = plans["loads"]["memory"][d]
            assert (column[index] if column else 0) == load.memory_bytes


def test_the_marks_are_ends_and_knees(html):
    tree = Seen(html).data("front")
    values = tree["sets"][0]["values"]
    ends = [mark for mark in tree["marks"] if mark["kind"] == "end"]
    assert [mark["words"] for mark in ends] == ["least latency", "least energy", "least cost"]
    for mark, column in zip(ends, values, strict=True):
        assert column[mark["point"]] == min(column)
    assert {mark["method"] for mark in tree["marks"] if mark["kind"] == "knee"} <= {
        "hyperplane", "trade-off rate",
    }  # fmt: skip


def test_bounds_on_the_hypervolume_meet_over_the_search(html):
    figure = Seen(html).data("figures")["search-A"]
    upper, lower = (trace["y"] for trace in figure["data"])
    assert all(a >= b - 1e-9 for a, b in itertools.pairwise(upper))
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(lower))
    assert all(low <= high + 1e-9 for low, high in zip(lower, upper, strict=True))
    assert lower[-1] == pytest.approx(upper[-1])


def test_the_search_is_drawn_over_its_time(folder, html):
    figure = Seen(html).data("figures")["search-A"]
    times = figure["data"][0]["x"]
    written = [entry.seconds for entry in read_entries(folder / JOURNAL_NAME)]
    assert set(times) <= set(written)
    assert times == sorted(times)
    assert times[-1] == written[-1] > 0
    assert figure["layout"]["xaxis"]["title"]["text"] == "time of the search (s)"


def test_a_search_without_times_is_drawn_over_its_programs(folder, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(folder, old)
    entries = [dataclasses.replace(each, seconds=None) for each in read_entries(old / JOURNAL_NAME)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgeplan.report.search_history.read_entries", lambda _: entries)
        figure = Seen(render(build([old]))).data("figures")["search-A"]
    assert figure["layout"]["xaxis"]["title"]["text"] == "programs solved"


def test_five_thousand_points_weigh_less_than_six_megabytes(tmp_path):
    large_front(tmp_path / "large")
    page = render(build([tmp_path / "large"]))
    assert len(page.encode()) < SIX_MEGABYTES
    tree = Seen(page).data("front")
    assert len(tree["sets"][0]["values"][0]) == 5000
    assert "a limit was reached" in page


def test_several_fronts_are_laid_over_each_other(folder, tmp_path):
    other = tmp_path / "points.csv"
    other.write_text(
        "name,latency_seconds,energy_joules,cost_dollars\n<b>mine</b>,0.2,0.4,0.00001\n"
    )
    page = build([folder, other])
    assert page.facts["sets"] == {"A": str(folder), "B": str(other)}
    html = render(page)
    seen = Seen(html)
    assert [each["kind"] for each in seen.data("front")["sets"]] == ["front", "points", "baselines"]
    assert "A → B" in html
    assert "b" not in seen.elements


def test_fronts_of_different_problems_are_compared_only_if_forced(folder, tmp_path):
    other = tmp_path / "other"
    front = read_front(folder / "front.json")
    dataclasses.replace(front, fingerprint="1" * 64, instance="elsewhere").write(other)
    page = str(tmp_path / "page.html")
    run = CliRunner().invoke(app, ["report", str(folder), str(other), "-o", page])
    assert run.exit_code == 2
    assert f"B ({other})" in run.stderr
    assert "'elsewhere'" in run.stderr
    assert "--force compares their numbers" in run.stderr
    run = CliRunner().invoke(app, ["report", str(folder), str(other), "-o", page, "--force"])
    assert run.exit_code == 0, run.stderr
    assert "different instances" in (tmp_path / "page.html").read_text(encoding="utf-8")
    plan = tmp_path / "plan.json"
    write_plan(front.points[0].plan, plan)
    with pytest.raises(InputError, match="only fronts are compared"):
        build([plan], force=True)


def test_waits_of_queues_are_carried():
    problem = dataclasses.replace(hostile_problem(), waiting="mg1")
    plan = whole(problem, {stream.name: stream.origin for stream in problem.streams})
    priced = evaluate(problem, plan)
    tree = plans_tree([plan], problem, [priced])
    waits = [(column or [0.0])[0] for column in tree["loads"]["device_waits"]]
    assert waits == pytest.approx([d.wait_seconds or 0.0 for d in priced.devices], rel=1e-3)
    assert max(waits) > 0
    assert tree["loads"]["basis"] == [[stream.basis for stream in priced.streams]]


def test_a_wrong_instance_is_refused(folder, tmp_path):
    other = tmp_path / "other.json"
    problem = hostile_problem()
    *kept, cloud = problem.devices
    devices = (*kept, dataclasses.replace(cloud, active_watts=5.0))
    write_instance(dataclasses.replace(problem, devices=devices), other)
    with pytest.raises(InputError, match="is not of this instance"):
        build([folder], other)


def test_the_command_says_what_it_wrote(folder, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda uri: opened.append(uri) or True)
    file = tmp_path / "page.html"
    result = CliRunner().invoke(app, ["report", str(folder), "-o", str(file), "--json", "--open"])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["kind"] == "front"
    assert said["bytes"] == file.stat().st_size
    assert said["points"] > 3
    assert opened == [file.as_uri()]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("missing", None, "no such file"),
        ("empty", "", "is a folder without front.json"),
        ("front.json", '{"format": "edgeplan-front", "version": 1}', "points: is missing"),
        ("profile.json", '{"format": "edgeplan-profile", "version": 1}', "of kind 'profile'"),
    ],
)
def test_what_cannot_be_shown_is_told(tmp_path, name, text, words):
    file = tmp_path / name
    if text == "":
        file.mkdir()
    elif text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=re.escape(words)):
        build([file])


def test_a_missing_extra_says_how_to_install_it(folder, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *a: None if name == "plotly" else find(name, *a)
    )
    result = CliRunner().invoke(app, ["report", str(folder), "-o", str(tmp_path / "page.html")])
    assert result.exit_code == 2
    assert "pip install 'edgeplan[report]'" in result.output


def test_json_in_a_page_cannot_end_its_element():
    text = json_text({"a": ["</script>", "\u2028", float("nan"), 1 / 3]})
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text) == {"a": ["</script>", "\u2028", None, 0.333333333]}
