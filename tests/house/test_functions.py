"""No function outgrows a reader."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import streamsched

PACKAGE = Path(streamsched.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 70


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_function_outgrows_a_reader(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < LONGEST, f"{node.name} in {path.name}"
