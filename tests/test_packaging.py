"""However streamsched is installed, it finds and loads every script."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOAD = "from streamsched.scripts import script, lua_root; print(lua_root(), [script(n).sha for n in {names}])"
NAMES = ["advance", "append", "replay", "drop_state"]


def loaded_from(path: Path, cwd: Path) -> str:
    """Load every entry script in a fresh interpreter that finds ``streamsched`` at ``path`` only."""
    program = f"import sys; sys.path.insert(0, {str(path)!r}); " + LOAD.format(names=NAMES)
    return subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=cwd, check=True, capture_output=True, text=True
    ).stdout.split(" ")[0]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return target


def test_the_wheel_carries_its_scripts(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path)
    assert loaded_from(tmp_path, tmp_path) == str(tmp_path / "streamsched" / "lua")
    assert (tmp_path / "streamsched" / "views.sql").is_file(), "what `streamsched query` reads"


def test_the_source_distribution_carries_its_scripts(built: Path, tmp_path: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (root,) = tmp_path.iterdir()
    assert loaded_from(root, tmp_path) == str(root / "lua")


def test_the_editable_install_uses_the_checkout() -> None:
    program = LOAD.format(names=NAMES)
    output = subprocess.run([sys.executable, "-P", "-c", program], cwd="/", check=True, capture_output=True, text=True)
    assert output.stdout.split(" ")[0] == str(ROOT / "lua")
