"""Hooks of MkDocs: pages of the site that are elsewhere in the sources, and links that lead out of the site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
ELSEWHERE = {"architecture.md": "ARCHITECTURE.md", "contributing.md": "CONTRIBUTING.md", "changes.md": "CHANGELOG.md"}
"""Pages of the site that are at the top of the sources, where readers expect them."""
PAGES = {source: page for page, source in ELSEWHERE.items()}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are elsewhere."""
    for page, name in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn each link into one within the site; a link to a source, which the site does not hold, becomes its text."""
    source = ELSEWHERE.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def rewritten(found: re.Match[str]) -> str:
        text, target, heading = found.groups()
        name = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        inside = PAGES.get(name) or (name.removeprefix("docs/") if name.startswith("docs/") else "")
        if not inside:
            return text
        return f"[{text}]({posixpath.relpath(inside, posixpath.dirname(page.file.src_uri) or '.')}{heading or ''})"

    return re.sub(r"\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)]*)?\)", rewritten, markdown)
