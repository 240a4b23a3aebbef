"""Names and texts that the encoding of an output lacks: every command prints them escaped, and ends as it would."""

from __future__ import annotations

import json

import pytest

from ..support.ledger import Ledger
from ..support.processes import Cli

pytestmark = pytest.mark.anyio

TEXT = "grüß 語音 😀"
NODE = "日本é"

COMMANDS: list[tuple[int, list[str]]] = [
    (0, ["status"]),
    (0, ["tail", "--no-follow"]),
    (0, ["tail", "--no-follow", "--json"]),
    (0, ["trace", "job", f"j{NODE}"]),
    (0, ["trace", "node", NODE, "--json"]),
    (0, ["explain", "job", f"j{NODE}"]),
    (0, ["query", f"SELECT '{TEXT}' AS \"{NODE}\""]),
    (0, ["cordon", NODE, "--reason", TEXT]),
    (1, ["dead", "show", TEXT]),
    (1, ["pause", "--pool", TEXT]),
    (1, ["append", f"job.{NODE}", f"{TEXT}={TEXT}"]),
    (2, ["status", f"--{NODE}"]),
    (2, ["status", "--config", f"/nowhere/{NODE}.toml"]),
    (2, ["query", f"SELECT {NODE}"]),
]


@pytest.mark.parametrize("encoding", ["ascii", "gbk"])
async def test_every_command_prints_what_its_output_cannot_encode(log: Ledger, cli: Cli, encoding: str) -> None:
    pools = json.dumps([{"id": "1", "name": "en-zh"}])
    await log.append(["type", "node.registered", "node_id", NODE, "cap_json", "{}", "pool_names_json", pools])
    job = {"job_id": f"j{NODE}", "session_id": TEXT, "src_lang": "en", "tgt_lang": "zh", "payload_json": TEXT}
    await log.append([part for pair in {"type": "job.submitted", **job}.items() for part in pair])
    await log.add({"type": "node.offline", "node_id": f"{NODE}2", "reason": TEXT})
    await log.advance()
    for code, command in COMMANDS:
        shown = cli.run_raw(*command, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        assert (shown.returncode, b"Traceback" in shown.stderr) == (code, False), (command, shown)
        if "--json" in command:
            lines = [json.loads(line) for line in shown.stdout.decode("ascii").splitlines()]
            assert NODE in json.dumps(lines, ensure_ascii=False), command
