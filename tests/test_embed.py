"""The page on embedding runs as it is printed."""

import doctest
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "embed.md"


@pytest.mark.filterwarnings("error")
def test_the_page_on_embedding():
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, optionflags=options)
    assert tried > 20
    assert failed == 0
