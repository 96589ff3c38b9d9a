"""The check of links notices what it is there for."""

from __future__ import annotations

from pathlib import Path

import check_links
import pytest

GOOD = """<html><head><link rel="stylesheet" href="look.css"></head><body>
<h1 id="top">A</h1><a href="#top">up</a> <a href="sub/other.html#here">other</a>
<a href="sub/">it</a>
<a href="https://example.org/a?b=c#d">elsewhere</a> <a href="mailto:some@example.org">write</a>
<img src="data:image/png;base64,AAAA"></body></html>"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(GOOD)
    (tmp_path / "look.css").write_text("a { background: url(data:image/png;base64,AAAA) }")
    for name in ("other.html", "index.html"):
        (tmp_path / "sub" / name).write_text('<p id="here"><a href="../index.html#top">back</a>')
    return tmp_path


def test_good_links_are_counted(site: Path) -> None:
    wrong, counts = check_links.faults(site)
    assert wrong == []
    assert counts == {"pages": 3, "inside": 6, "anchors": 4, "elsewhere": 2}


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ('<a href="gone.html">x</a>', "gone.html: leads nowhere"),
        ('<a href="../../outside.html">x</a>', "leads nowhere"),
        ('<a href="sub/other.html#gone">x</a>', "sub/other.html has no anchor gone"),
        ('<a href="#gone">x</a>', "index.html has no anchor gone"),
        ('<p id="a"></p><p id="a"></p>', "the anchor a is there twice"),
        ('<img src="gone.png">', "gone.png: leads nowhere"),
        ('<img src="https://example.org/a.png">', "is loaded from elsewhere"),
        ('<img srcset="//example.org/a.png 2x">', "is loaded from elsewhere"),
        ('<script src="https://example.org/a.js"></script>', "is loaded from elsewhere"),
        ('<link rel="preconnect" href="https://fonts.example.org">', "is loaded from elsewhere"),
        ('<p style="background: url(https://example.org/a.png)">', "is loaded from elsewhere"),
        ('<a href="http://example.org">x</a>', "should begin with https://"),
        ('<a href="https://example">x</a>', "'example' is no host"),
        ('<a href="https://example.org:x/">x</a>', "Port could not be cast"),
        ('<a href="https://example.org/a b">x</a>', "should be escaped"),
        ('<a href="mailto:nobody">x</a>', "is no address"),
    ],
)
def test_a_bad_link_is_noticed(site: Path, html: str, said: str) -> None:
    (site / "index.html").write_text(GOOD + html)
    wrong, _ = check_links.faults(site)
    assert len(wrong) == 1
    assert said in wrong[0]


def test_style_sheets_load_nothing_from_elsewhere(site: Path) -> None:
    (site / "look.css").write_text('@import "https://example.org/font.css";')
    assert check_links.faults(site)[0] == [
        "look.css: https://example.org/font.css: is loaded from elsewhere"
    ]


def test_an_empty_site_is_a_fault(tmp_path: Path) -> None:
    assert check_links.main(tmp_path) == 1
