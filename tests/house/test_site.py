"""The site builds without a warning, loads nothing from elsewhere, and its search works from a disk."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import expect

from ..support.chromium import chromium

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
    sources = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    for document in [*sources, Path("architecture.md"), Path("contributing.md"), Path("changes.md")]:
        page = document.with_suffix(".html").as_posix()
        assert (site / page).is_file()
        assert f'href="{page}"' in home, page


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="?(?:https?:)?//[^">]+', page.read_text())
        assert loaded == [], page.name


def test_a_link_within_the_site_leads_somewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue
        for target in re.findall(r'<a [^>]*href="([^"#:]+)[#"]', page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("name", ["log-fold-state.svg", "life-of-a-job.svg"])
def test_the_flows_are_drawn_and_named(site: Path, name: str) -> None:
    drawing = ElementTree.parse(site / name).getroot()
    assert drawing.find("{http://www.w3.org/2000/svg}title") is not None
    assert name in (site / "index.html").read_text()


@pytest.mark.parametrize("page_name", ["index.html", "decisions/index.html"])
def test_the_search_finds_pages_of_a_site_that_was_opened_from_a_disk(site: Path, page_name: str) -> None:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((site / page_name).as_uri())
        page.keyboard.press("f")
        page.keyboard.type("two_choices")
        expect(page.locator(".md-search-result__meta")).to_contain_text("matching document", timeout=15_000)
        page.locator(".md-search-result__link").first.click()
        page.wait_for_url(lambda url: page_name not in url)
        assert [url for url in asked if url.startswith("http")] == []
