"""What the documents say is done, each with a server of its own, started by the first command that it names."""

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
"""Documents whose every block is done, and the command of theirs that starts the server."""


@pytest.fixture
def url() -> Iterator[str]:
    """The server of `streamsched dev`, on a port of its own."""
    with dev_server(free_port()) as url:
        yield url


@pytest.fixture
def shell(url: str, tmp_path: Path) -> Iterator[Shell]:
    """What a reader types into."""
    if shutil.which("redis-cli") is None:
        pytest.skip("redis-cli is not installed: the gate installs it and runs this test there")
    shell = Shell(tmp_path, url)
    yield shell
    shell.close()


@pytest.mark.parametrize("name", PLAYED)
def test_what_a_document_says_comes_true(name: str, shell: Shell, tmp_path: Path) -> None:
    text = (ROOT / name).read_text()
    if "import Redis from" in text:
        (tmp_path / "node_modules").symlink_to(node_modules())
    shell.play(text, but=PLAYED[name])


def test_every_test_that_the_architecture_names_exists() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", ARCHITECTURE))
    assert len(named) >= 11
    assert {name for name in named if f"def {name}(" not in sources} == set()


def test_the_architecture_names_a_guard_for_each_invariant() -> None:
    rows = re.findall(r"^\| (\d+) \|.*`test_", ARCHITECTURE, re.MULTILINE)
    assert rows == [str(n) for n in range(1, 12)]


def test_every_file_that_the_documents_name_exists() -> None:
    for text in (README, ARCHITECTURE, (ROOT / "CONTRIBUTING.md").read_text()):
        for name in re.findall(r"`((?:lua|streamsched|reference|tests|benchmarks)/[\w/.]+\.\w+)`", text):
            assert (ROOT / name).exists(), name


DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_to_a_file_or_a_heading_leads_somewhere(document: Path) -> None:
    for name, heading in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", document.read_text()):
        file = document.parent / name if name else document
        assert file.exists(), f"{document.name} links to {name}"
        if heading:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}
