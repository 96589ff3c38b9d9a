"""A real browser for the tests of pages, and one that says everything that went wrong in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
# Said of canvases by plotly's 3-D pictures; about speed only.
HARMLESS = ("willReadFrequently", "GPU stall due to ReadPixels", "GL Driver Message")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, without a window; WebGL is computed in software."""
    sync_api = pytest.importorskip("playwright.sync_api")
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no chromium here; tools/install_chromium.sh installs it on Debian")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page in the browser, with all that it said and asked for."""

    page: Any
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Assert that nothing went wrong since the page was opened."""
        assert self.faults == []
        assert self.dialogs == []
        assert self.requests == []


def open_watched(chromium: Any, file: Path, **context: Any) -> Watched:
    """Open a file, noting console errors, requests and dialogs."""
    page = chromium.new_context(**context).new_page()
    watched = Watched(page)

    def said(message: Any) -> None:
        harmless = any(words in message.text for words in HARMLESS)
        if message.type in ("error", "warning") and not harmless:
            watched.faults.append(f"{message.type}: {message.text}")

    def asked(request: Any) -> None:
        # The page itself, and what its own code made of its own data.
        if request.url != file.as_uri() and not request.url.startswith(("blob:", "data:")):
            watched.requests.append(request.url)

    def dialog(each: Any) -> None:
        watched.dialogs.append(each.message)
        each.dismiss()

    page.on("console", said)
    page.on("pageerror", lambda error: watched.faults.append(f"thrown: {error}"))
    page.on("request", asked)
    page.on("dialog", dialog)
    page.goto(file.as_uri())
    return watched
