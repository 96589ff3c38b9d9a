"""Check the links of the built documentation site.

Usage: python tools/check_links.py [SITE]

Links within the site must lead to a page or file, and to an anchor that is there. Pages must load
nothing from elsewhere. Links to elsewhere are only checked for their form: nothing is fetched.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "site"
LOADED = {
    ("audio", "src"),
    ("iframe", "src"),
    ("img", "src"),
    ("img", "srcset"),
    ("input", "src"),
    ("object", "data"),
    ("script", "src"),
    ("source", "src"),
    ("source", "srcset"),
    ("video", "poster"),
    ("video", "src"),
}
"""What a browser loads by itself, besides some kinds of `link`."""
LOADED_RELATIONS = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "modulepreload"}
STYLED = re.compile(r"url\(\s*['\"]?([^'\")\s]+)|@import\s+['\"]([^'\"]+)")
HOST = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", re.IGNORECASE)


@dataclass
class Page(HTMLParser):
    """The anchors and links of a page."""

    anchors: set[str] = field(default_factory=set)
    repeated: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Set the parser up."""
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element's anchors and links."""
        given = {name: value for name, value in attrs if value is not None}
        own = [given["id"]] if given.get("id") else []
        if tag == "a" and given.get("name") and given["name"] not in own:
            own.append(given["name"])
        for anchor in own:
            if anchor in self.anchors:
                self.repeated.append(anchor)
            self.anchors.add(anchor)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and "href" in given:
            relations = set(given.get("rel", "").lower().split())
            (self.loads if relations & LOADED_RELATIONS else self.links).append(given["href"])
        for name, value in given.items():
            if (tag, name) in LOADED:
                several = name == "srcset"
                self.loads += [each.split()[0] for each in value.split(",")] if several else [value]
        self.loads += _styled(given.get("style", ""))


def _styled(text: str) -> list[str]:
    found = (first or second for first, second in STYLED.findall(text))
    return [each for each in found if not each.startswith("data:")]


def read(text: str) -> Page:
    """Return the anchors and links of a page's HTML."""
    page = Page()
    page.feed(text)
    page.close()
    return page


def foreign_fault(url: str) -> str | None:
    """Return what is wrong with the form of a link to elsewhere; ``None`` if nothing is."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme == "mailto":
        good = re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", parts.path)
        return None if good else "is no address"
    if parts.scheme != "https":
        return "should begin with https://"
    if not HOST.fullmatch(host):
        return f"{host!r} is no host"
    if re.search(r"[\s<>\"{}|\\^`]", url):
        return "has a character that should be escaped"
    return None


def faults(site: Path) -> tuple[list[str], Mapping[str, int]]:
    """Return what is wrong with a site's links, and how many there are of each kind."""
    pages = {
        file.resolve(): read(file.read_text(encoding="utf-8")) for file in site.rglob("*.html")
    }
    found: list[str] = []
    counts = {"pages": len(pages), "inside": 0, "anchors": 0, "elsewhere": 0}
    for file, page in sorted(pages.items()):
        name = file.relative_to(site.resolve())
        found += [f"{name}: the anchor {anchor} is there twice" for anchor in page.repeated]
        for url, loaded in _each(page):
            if _is_foreign(url):
                fault = "is loaded from elsewhere" if loaded else foreign_fault(url)
                counts["elsewhere"] += 1
            else:
                # The page of the server's 404 has links from the root, wherever that is.
                fault = _inner_fault(url, file, site.resolve(), pages)
                counts["inside"] += 1
                counts["anchors"] += "#" in url
            if fault is not None:
                found.append(f"{name}: {url}: {fault}")
    for file in sorted(site.rglob("*.css")):
        for url in _styled(file.read_text(encoding="utf-8")):
            fault = (
                "is loaded from elsewhere"
                if _is_foreign(url)
                else _inner_fault(url, file.resolve(), site.resolve(), pages)
            )
            if fault is not None:
                found.append(f"{file.relative_to(site)}: {url}: {fault}")
    if not pages:
        found.append(f"{site}: there are no pages; `make docs` writes them")
    return found, counts


def _each(page: Page) -> Iterable[tuple[str, bool]]:
    yield from ((url, False) for url in page.links)
    yield from ((url, True) for url in page.loads if not url.startswith("data:"))


def _is_foreign(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    return bool(parts.scheme or parts.netloc)


def _inner_fault(url: str, page: Path, site: Path, pages: Mapping[Path, Page]) -> str | None:
    parts = urlsplit(url)
    path = unquote(parts.path)
    target = page
    if path:
        target = (site / path.lstrip("/") if path.startswith("/") else page.parent / path).resolve()
        if target.is_dir():
            target = target / "index.html"
    if not target.is_relative_to(site) or not target.is_file():
        return "leads nowhere"
    anchor = unquote(parts.fragment)
    if anchor and (target not in pages or anchor not in pages[target].anchors):
        return f"{target.relative_to(site)} has no anchor {anchor}"
    return None


def main(site: Path = SITE) -> int:
    """Check, print, and return the exit code."""
    wrong, counts = faults(site)
    for fault in wrong:
        print(fault)
    if not wrong:
        print(
            f"{counts['pages']} pages: {counts['inside']} links within the site lead somewhere "
            f"({counts['anchors']} to an anchor), {counts['elsewhere']} to elsewhere are well "
            "formed, nothing is loaded from elsewhere"
        )
    return int(wrong != [])


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:2])))
