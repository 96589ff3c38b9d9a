"""The site: built without a warning, whole offline, and not without its links."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import check_links
import pytest

pytest.importorskip("material")

ROOT = Path(__file__).resolve().parents[2]


def build(checkout: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a checkout."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_links_lead_somewhere_and_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    wrong, counts = check_links.faults(site)
    assert wrong == []
    assert counts["pages"] > 20
    assert counts["anchors"] > 500


def test_equations_are_mathematics(site: Path) -> None:
    for name in ("formulation.html", "formulation-load.html"):
        page = (site / name).read_text(encoding="utf-8")
        assert page.count("<math") > 50
        assert not re.search(r"\$\$|\$\\|\\(?:sum|frac|lambda)", page)


def test_keys_of_the_file_are_anchors(site: Path) -> None:
    page = (site / "formulation.html").read_text(encoding="utf-8")
    files = (site / "reference" / "files.html").read_text(encoding="utf-8")
    anchors = set(re.findall(r'href="reference/files\.html#([\w-]+)"', page))
    assert len(anchors) > 30
    assert all(f'id="{anchor}"' in files for anchor in anchors)


def test_broken_links_and_anchors_fail(tmp_path: Path) -> None:
    for name in ("docs", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    with (tmp_path / "docs" / "index.md").open("a", encoding="utf-8") as page:
        page.write("\n[one](nowhere.md), [two](glossary.md#no-such-word)\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert "nowhere.md" in done.stderr
    assert "no-such-word" in done.stderr


@pytest.mark.xdist_group("chromium")
@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["index.html"], id="one"),
        pytest.param([], id="all", marks=pytest.mark.long),
    ],
)
def test_pages_are_accessible_in_light_and_dark(site: Path, names: list[str]) -> None:
    pytest.importorskip("axe_playwright_python")
    if not (shutil.which("chromium") or shutil.which("google-chrome")):
        pytest.skip("no chromium here; tools/install_chromium.sh installs it on Debian")
    # A process of its own: other tests hold the one browser that a process may drive.
    command = [sys.executable, str(ROOT / "tools" / "check_access.py"), str(site), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
