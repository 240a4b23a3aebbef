"""The documents are run as a reader would run them, and every test, file and heading that they name exists."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamsched.server.embedded import free_port

from ..support.dev_server import dev_server
from ..support.documents import Shell
from ..support.npm import node_modules

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
PLAYED = {
    "README.md": "streamsched dev",
    "docs/tutorial.md": "streamsched dev",
    "docs/producers.md": "",
    "docs/operations.md": "",
}
"""Documents that are run, and the command of theirs that starts the server."""


@pytest.fixture
def url() -> Iterator[str]:
    """The server of `streamsched dev`, on a port of its own."""
    with dev_server(free_port()) as url:
        yield url


@pytest.fixture
def shell(url: str, tmp_path: Path) -> Iterator[Shell]:
    """The shell that a reader types into."""
    if shutil.which("redis-cli") is None:
        pytest.skip("redis-cli is not installed: the gate installs it and runs this test there")
    shell = Shell(tmp_path, url)
    yield shell
    shell.close()


@pytest.mark.parametrize("name", PLAYED)
def test_a_document_does_what_it_says(name: str, shell: Shell, tmp_path: Path) -> None:
    text = (ROOT / name).read_text()
    if "import Redis from" in text:
        (tmp_path / "node_modules").symlink_to(node_modules())
    shell.play(text, but=PLAYED[name])


DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def test_every_test_that_a_document_names_exists() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    written = set(re.findall(r"def (test_\w+)\(", sources))
    for document in DOCUMENTS:
        named = set(re.findall(r"`(test_\w+)`", document.read_text()))
        assert named <= written, f"{document.name} names {sorted(named - written)}"


def test_the_architecture_names_a_guard_for_each_invariant() -> None:
    rows = re.findall(r"^\| (\d+) \|.*`test_", ARCHITECTURE, re.MULTILINE)
    assert rows == [str(n) for n in range(1, 12)]


def test_a_decision_says_its_context_what_was_rejected_and_what_holds_it() -> None:
    index = (ROOT / "docs" / "decisions" / "index.md").read_text()
    listed = re.findall(r"^- \[(.*)\]\((.*)\)$", index, re.MULTILINE)
    assert [name for _, name in listed] == [path.name for path in DECISIONS]
    for path, (title, _) in zip(DECISIONS, listed, strict=True):
        heading, *sections = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
        assert heading == title
        assert int(heading.split(".")[0]) == int(path.name.split("-")[0])
        assert sections == ["Context", "Decision", "Rejected", "Held by"]


def test_the_first_pages_are_short() -> None:
    assert len(README.splitlines()) <= 120
    assert len(ARCHITECTURE.splitlines()) <= 110


def test_every_file_that_the_documents_name_exists() -> None:
    named = re.compile(r"`((?:lua|streamsched|reference|tests|benchmarks)/[\w/.]+\.\w+)`")
    for document in DOCUMENTS:
        missing = [name for name in named.findall(document.read_text()) if not (ROOT / name).exists()]
        assert missing == [], document.name


def anchor(heading: str) -> str:
    """The anchor of a heading, as GitHub and MkDocs form it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_link_to_a_file_or_a_heading_leads_somewhere(document: Path) -> None:
    for name, heading in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", document.read_text()):
        file = document.parent / name if name else document
        assert file.exists(), f"{document.name} links to {name}"
        if heading:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            assert heading in {anchor(text) for text in headings}, f"{document.name} links to #{heading}"
