"""Installs each peer in its own environment under ``.bench/``; a failed installation is reported, not raised."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from .catalogue import Peer

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".bench"
ADAPTERS = Path(__file__).parent / "adapters"
INSTALL_S = 600
"""How long one installation may take."""


class NotInstalled(Exception):
    """A peer cannot be run here; the text says why."""


def python_of(oldest: tuple[int, int]) -> str:
    """Return this interpreter, or another of the machine that is new enough.

    Raises:
        NotInstalled: there is none.
    """
    if sys.version_info[:2] >= oldest:
        return sys.executable
    for minor in range(oldest[1], oldest[1] + 4):
        name = f"python{oldest[0]}.{minor}"
        versions = sorted(Path.home().glob(f".pyenv/versions/{oldest[0]}.{minor}.*/bin/python"))
        candidates = [*map(str, reversed(versions)), shutil.which(name)]
        for candidate in filter(None, candidates):
            if subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
                return candidate
    raise NotInstalled(f"needs Python {oldest[0]}.{oldest[1]}, and there is none here")


def install(peer: Peer) -> tuple[list[str], str]:
    """Make the peer runnable; returns the command its adapter is run by, and the versions that are compared.

    Raises:
        NotInstalled: pip or npm refused, or what it needs is missing.
    """
    adapter = str(ADAPTERS / peer.program)
    if not peer.packages:
        return [sys.executable, adapter], ""
    folder = CACHE / peer.folder
    wanted = json.dumps(peer.packages)
    marker = folder / "installed.json"
    if not marker.exists() or json.loads(marker.read_text())["wanted"] != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        versions = _install_node(peer, folder) if peer.node else _install_python(peer, folder)
        marker.write_text(json.dumps({"wanted": wanted, "versions": versions}))
    versions = json.loads(marker.read_text())["versions"]
    if peer.node:
        return [shutil.which("node") or "node", adapter], versions
    return [str(folder / "venv/bin/python"), adapter], versions


def environment_of(peer: Peer) -> dict[str, str]:
    """The environment variables of a peer's adapter: it imports ``contract`` from the folder of the adapters."""
    folders = {"PYTHONPATH": str(ADAPTERS), "NODE_MODULES": str(CACHE / peer.folder / "node_modules")}
    return os.environ | peer.environment | folders


def _install_python(peer: Peer, folder: Path) -> str:
    venv = folder / "venv"
    _run([python_of(peer.python), "-m", "venv", str(venv)], folder)
    pip = [str(venv / "bin/python"), "-m", "pip", "--disable-pip-version-check"]
    _run([*pip, "install", "--quiet", *peer.packages], folder)
    listed = json.loads(_run([*pip, "list", "--format=json"], folder))
    found = {one["name"].lower(): one["version"] for one in listed}
    asked = [package.split("[")[0].lower() for package in peer.packages]
    about = [f"{name} {found[name]}" for name in dict.fromkeys([*asked, "redis", "coredis"]) if name in found]
    about.append(_run([str(venv / "bin/python"), "--version"], folder).strip())
    return ", ".join(about)


def _install_node(peer: Peer, folder: Path) -> str:
    if shutil.which("npm") is None:
        raise NotInstalled("needs Node.js with npm, which is not installed")
    (folder / "package.json").write_text('{"private": true}\n')
    _run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *peer.packages], folder)
    listed = json.loads(_run(["npm", "ls", "--json", "--depth=0"], folder))
    about = [f"{name} {one['version']}" for name, one in listed["dependencies"].items()]
    return ", ".join([*about, "Node.js " + _run(["node", "--version"], folder).strip()])


def _run(command: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except (subprocess.TimeoutExpired, OSError) as problem:
        raise NotInstalled(f"{command[0]}: {problem}") from None
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if "error" in line.lower()]
        raise NotInstalled((lines or ["failed without output"])[-1][:300])
    return done.stdout
