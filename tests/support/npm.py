"""What the tests take from npm: the client of the Node.js example, and the parser of AsyncAPI documents."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

NODE = Path(__file__).resolve().parents[1] / "asyncapi"


def node_modules() -> Path:
    """Return the folder of the installed packages; a machine without npm skips the test."""
    folder = NODE / "node_modules"
    if not folder.is_dir():
        assert shutil.which("npm") is None, "run make, which installs what tests/asyncapi/package.json names"
        pytest.skip("there is no npm on this machine: the gate installs it and runs this test there")
    return folder
