"""The site is built without a complaint, and needs nobody else to be read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return target


def test_every_document_is_a_page_that_the_navigation_leads_to(site: Path) -> None:
    home = (site / "index.html").read_text()
    for document in [*(ROOT / "docs").glob("*.md"), Path("architecture.md"), Path("changes.md")]:
        page = document.with_suffix(".html").name
        assert (site / page).is_file()
        assert f'href="{page}"' in home, page


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.glob("*.html"):
        loaded = re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="?(?:https?:)?//[^">]+', page.read_text())
        assert loaded == [], page.name


def test_a_link_within_the_site_leads_somewhere(site: Path) -> None:
    for page in site.glob("*.html"):
        if page.name == "404.html":
            continue
        for target in re.findall(r'<a [^>]*href="([^"#:]+)[#"]', page.read_text()):
            assert (site / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("name", ["log-fold-state.svg", "life-of-a-job.svg"])
def test_the_flows_are_drawn_and_named(site: Path, name: str) -> None:
    drawing = ElementTree.parse(site / name).getroot()
    assert drawing.find("{http://www.w3.org/2000/svg}title") is not None
    assert name in (site / "index.html").read_text()
