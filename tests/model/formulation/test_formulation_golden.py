"""Every equation has a golden LP file, equal to what the code makes; the page is up to date."""

from __future__ import annotations

from pathlib import Path

import pytest
import write_formulation
from witnesses import golden_texts

from edgeplan.model.formulation import EQUATIONS, TERMS
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


def test_the_page_is_up_to_date():
    committed = write_formulation.PAGE.read_text(encoding="utf-8")
    assert committed == write_formulation.page(), "run python tools/write_formulation.py"
    for item in (*EQUATIONS.values(), *TERMS.values()):
        assert f"#### `{item.name}`" in committed


def test_the_page_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "formulation.md"
    write_formulation.main(path)
    assert path.read_text(encoding="utf-8") == write_formulation.page()
    monkeypatch.setattr(write_formulation, "page", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_formulation.main(path)
    assert list(tmp_path.iterdir()) == [path]


def test_an_equation_cannot_be_defined_twice():
    register = Register()
    register.equation("streams")(test_no_golden_file_is_left_over)
    with pytest.raises(ValueError, match="defined twice"):
        register.equation("streams")(test_no_golden_file_is_left_over)
