"""What the tests of pages share: reading a page as a browser would, and files to make pages of."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from edgeplan.instances.plans import fingerprint, write_plan
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Problem
from tests.cli.cli_helpers import write_two_tiers
from tests.report.hostile import CLOUD, EDGE, PHONE, QUOTES, SCRIPT

VOID = {"meta", "link", "br", "img", "input", "hr", "path", "polygon", "rect", "line", "circle"}


class Read(HTMLParser):
    """A page's text, its elements, and what in it could run."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.handlers += [value for _, value in attrs if (value or "").startswith("javascript:")]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(text: str) -> Read:
    """Return a page as read, after checking that it is well formed and nothing in it runs."""
    found = Read(text)
    assert found.open == []
    assert found.handlers == []
    assert len(found.ids) == len(set(found.ids))
    assert not {"img", "iframe", "object", "link", "form"} & set(found.tags)
    return found


def hostile_plan() -> Plan:
    """A plan of `hostile_problem` that passes three devices."""
    return Plan(
        routes={
            SCRIPT: (Route(devices=(PHONE, EDGE, CLOUD)),),
            QUOTES: (Route(devices=(EDGE, EDGE, EDGE)),),
        }
    )


def write_hostile_plan(folder: Path, problem: Problem, **claims: object) -> Path:
    path = folder / "plan.json"
    write_plan(hostile_plan(), path, problem=problem, **claims)
    assert fingerprint(problem) in path.read_text()
    return path


def waiting_tiers(folder: Path) -> Path:
    """Write the small instance with queues, at 12 requests per second."""
    path = write_two_tiers(folder, "1 s")
    text = path.read_text().replace("rate: 2 /s", "rate: 12 /s")
    path.write_text(text.replace("objective:", "waiting: mg1\nobjective:"))
    return path
