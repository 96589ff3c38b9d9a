"""The pages whose commands take seconds do what they say; `make docs-test` runs them all."""

from __future__ import annotations

import pytest
import run_docs


@pytest.mark.parametrize("name", ["tutorials/own-device.md", "infeasible.md"])
def test_a_page_does_what_it_says(name: str) -> None:
    page = run_docs.DOCS / name
    assert page in run_docs.PAGES
    assert run_docs.run(page) is None
