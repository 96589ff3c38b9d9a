"""The snippets of the documentation are planned, and generated pages are those of the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import run_docs
import write_reference

from edgeplan.instances.document import parse_yaml, to_json
from edgeplan.instances.init import starter
from edgeplan.instances.read import read_instance
from edgeplan.planner import plan

DOCS = Path(__file__).resolve().parents[2] / "docs"
SNIPPETS = re.findall(
    r"^## … (.*?)\?$.*?^```yaml\n(.*?)^```$",
    (DOCS / "how-to.md").read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)


def merged(old: Any, new: Any) -> Any:
    """Put a snippet into an instance: mappings key by key, links by their ends, all else whole."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}
    if isinstance(old, list) and isinstance(new, list) and all("from" in each for each in new):
        ends = {(each["from"], each["to"]) for each in new}
        return [each for each in old if (each["from"], each["to"]) not in ends] + new
    return new


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) >= 15


@pytest.mark.parametrize(("title", "text"), SNIPPETS, ids=[title for title, _ in SNIPPETS])
def test_a_snippet_has_a_plan(title: str, text: str, tmp_path: Path) -> None:
    base = parse_yaml(starter()).value
    file = tmp_path / "instance.yaml"
    file.write_text(to_json(merged(base, parse_yaml(text).value)))
    problem = read_instance(file).problem
    file.write_text(to_json(base))
    assert problem != read_instance(file).problem, "the snippet says nothing new"
    result = plan(problem, time_limit=20)
    assert result.plan is not None, (title, result.status)


def test_generated_pages_are_as_the_code_has_it() -> None:
    for name, text in (
        ("reference/cli.md", write_reference.commands()),
        ("reference/files.md", write_reference.files()),
        ("decisions/index.md", write_reference.decisions()),
    ):
        written = (DOCS / name).read_text(encoding="utf-8")
        assert written.split() == text.split(), f"make docs writes {name}"


@pytest.mark.parametrize(
    ("expected", "printed", "lacking"),
    [
        ("a\n…\nc\n", "a\nb\nc\n", None),
        ("a\nc\n", "a\nb\nc\n", "c"),
        ("a 1 … 3\n…\n", "a 1 2 3\nmore\n", None),
        ("…\nz\n", "a\nb\n", "z"),
        ("a …\n", "a   \n", None),
        ("a …\n", "ab\n", "a …"),
        ("a\n", "a\nb\n", "(nothing more, but there is) b"),
    ],
)
def test_what_a_page_says_is_compared(expected: str, printed: str, lacking: str | None) -> None:
    assert run_docs.missing(expected, printed) == lacking


def test_steps_are_files_and_commands() -> None:
    page = '```yaml title="a.yaml"\nx: 1\n```\ntext\n```console\n$ one\nsaid\n$ two\n```\n'
    assert [(step.name, step.text) for step in run_docs.steps(page)] == [
        ("a.yaml", "x: 1\n"),
        ("$ one", "said\n"),
        ("$ two", ""),
    ]


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ("```console\n$ echo one\none\n```\n", None),
        ("```console\n$ echo one\ntwo\n```\n", "not printed: two"),
        ("```console\n$ exit 3\n```\n", "exit code 3"),
        ('```console\n$ (exit 3); echo "exit code $?"\nexit code 3\n```\n', None),
        ('```yaml title="a"\nx\n```\n```console\n$ cat a\nx\n```\n', None),
        ("words\n", "nothing to run"),
        ("```python\n>>> 1 + 1\n3\n\n```\n", "1 of 1 examples"),
        ("```python\n>>> 1 + 1\n2\n\n```\n", None),
    ],
)
def test_a_page_is_run(
    page: str, fault: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "page.md"
    file.write_text(page)
    monkeypatch.setattr(run_docs, "ROOT", tmp_path)
    monkeypatch.setattr(run_docs, "NETWORK", file)
    found = run_docs.run(file)
    assert found is None if fault is None else fault in (found or "")
