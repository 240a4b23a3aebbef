"""The order of the packages in benchmarks/: harness, then figures and peers side by side, then the two programs."""

from __future__ import annotations

import ast
from importlib.util import resolve_name
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent.parent / "benchmarks"
MAY_IMPORT = {
    "harness": {"harness"},
    "figures": {"harness", "figures"},
    "peers": {"harness", "peers"},
    "regression": {"harness"},
    "__main__": {"harness", "figures", "regression"},
}
FILES = sorted(path for path in BENCHMARKS.rglob("*.py") if path != BENCHMARKS / "__init__.py")


def imports_of(source: str, package: str) -> set[str]:
    """Return the full names of what a module of a package imports, at its top or anywhere below."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module or ""
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(BENCHMARKS).as_posix())
def test_a_benchmark_imports_from_its_own_package_and_those_below(path: Path) -> None:
    place = path.relative_to(BENCHMARKS.parent).with_suffix("").parts
    used = {
        name.split(".")[1]
        for name in imports_of(path.read_text(), ".".join(place[:-1]))
        if name.startswith("benchmarks.")
    }
    assert used <= MAY_IMPORT[place[1]]


def test_an_import_is_seen_in_each_of_its_forms() -> None:
    source = """
from . import one
from .two import a
from ..figures import three
import benchmarks.peers
def later():
    from benchmarks.figures.four import b
"""
    assert imports_of(source, "benchmarks.peers") == {
        "benchmarks.peers.one",
        "benchmarks.peers.two.a",
        "benchmarks.figures.three",
        "benchmarks.peers",
        "benchmarks.figures.four.b",
    }
