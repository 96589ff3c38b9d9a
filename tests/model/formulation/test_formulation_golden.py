"""Every equation has a golden LP file, equal to what the code makes; the page is up to date."""

from __future__ import annotations

from pathlib import Path

import pytest
import write_formulation
from witnesses import golden_texts

from edgeplan.model.formulation import EQUATIONS, TERMS, queueing
from edgeplan.model.formulation.registry import Register

GOLDEN = Path(__file__).parent / "golden"
NAMES = (*EQUATIONS, *TERMS, "variables")
TEXTS = golden_texts()


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_the_golden_ones(name):
    path = GOLDEN / f"{name}.lp"
    assert path.exists(), f"no golden file for '{name}': run python tools/write_golden.py"
    assert path.read_text(encoding="utf-8") == TEXTS[name], (
        f"'{name}' has changed; if that was meant, run python tools/write_golden.py"
    )
    assert TEXTS[name].count("\n") > 1, f"the golden problems have no row of '{name}'"


def test_no_golden_file_is_left_over():
    assert {path.stem for path in GOLDEN.iterdir()} == set(NAMES)


@pytest.mark.parametrize("item", [*EQUATIONS.values(), *TERMS.values()], ids=lambda i: i.name)
def test_every_equation_has_words_and_mathematics(item):
    words, _, rest = item.words.partition("\n")
    assert words.endswith(".")
    assert ".. math::" in rest


@pytest.mark.parametrize(
    ("path", "page", "names"),
    [
        (write_formulation.PAGE, write_formulation.page, (*EQUATIONS, *TERMS)),
        (
            write_formulation.LOAD_PAGE,
            write_formulation.load_page,
            (*queueing.EQUATIONS, *queueing.TERMS),
        ),
    ],
    ids=["layers", "queueing"],
)
def test_the_page_is_up_to_date(path, page, names):
    committed = path.read_text(encoding="utf-8")
    assert committed == page(), "run python tools/write_formulation.py"
    for name in names:
        assert f"#### `{name}`" in committed
    assert ".. math" not in committed
    assert ":math:" not in committed


def test_the_pages_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path, load = tmp_path / "formulation.md", tmp_path / "formulation-load.md"
    # What the pages say is compared above, and takes seconds to make.
    monkeypatch.setattr(write_formulation, "page", lambda: "layers: λ\n")
    monkeypatch.setattr(write_formulation, "load_page", lambda: "load: ρ\n")
    write_formulation.main(path, load)
    assert path.read_text(encoding="utf-8") == "layers: λ\n"
    assert load.read_text(encoding="utf-8") == "load: ρ\n"
    monkeypatch.setattr(write_formulation.os, "fdopen", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_formulation.main(path, load)
    assert sorted(tmp_path.iterdir()) == [load, path]


def test_an_equation_cannot_be_defined_twice():
    register = Register()
    register.equation("streams")(test_no_golden_file_is_left_over)
    with pytest.raises(ValueError, match="defined twice"):
        register.equation("streams")(test_no_golden_file_is_left_over)
