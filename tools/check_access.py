"""Look at pages of the built site with axe in Chromium, in light and dark.

Usage: python tools/check_access.py SITE [PAGE …]

A fault is what axe calls serious or critical, an error on the console, and anything that is asked
for elsewhere. Lesser findings are not faults: the theme makes some that pages cannot mend.
"""

from __future__ import annotations

import functools
import http.server
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

GRAVE = ("serious", "critical")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and does not say so."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base's
        """Say nothing."""


def faults(site: Path, names: list[str], browser: str) -> list[str]:
    """Return what is wrong with pages of a site."""
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    handler = functools.partial(Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    root = f"http://127.0.0.1:{server.server_port}/"
    own = (root, "data:", "blob:")
    found: list[str] = []
    try:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            for scheme in ("light", "dark"):
                page = chromium.new_context(color_scheme=scheme).new_page()
                page.on("pageerror", lambda error: found.append(f"thrown: {error}"))
                page.on(
                    "console",
                    lambda said: found.append(said.text) if said.type == "error" else None,
                )
                page.on(
                    "request",
                    lambda asked: (
                        None if asked.url.startswith(own) else found.append(f"asked: {asked.url}")
                    ),
                )
                for name in names:
                    page.goto(root + name)
                    page.wait_for_selector(".md-content")
                    for each in Axe().run(page).response["violations"]:
                        if each["impact"] in GRAVE:
                            where = each["nodes"][0]["target"]
                            found.append(f"{name}, {scheme}: {each['id']} at {where}")
            chromium.close()
    finally:
        server.shutdown()
        server.server_close()
    return found


def main(site: Path, names: list[str]) -> int:
    """Look, print, and return the exit code."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("no chromium here; tools/install_chromium.sh installs it on Debian")
        return 1
    names = names or [str(file.relative_to(site)) for file in sorted(site.rglob("*.html"))]
    found = faults(site, names, browser)
    for fault in found:
        print(fault)
    if not found:
        print(f"{len(names)} pages, light and dark: nothing serious, nothing asked for elsewhere")
    return int(found != [])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
