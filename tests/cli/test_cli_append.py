"""``streamsched append``, as a process: events from flags and from NDJSON, in order, each answered for itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ..support.processes import Cli


def test_an_event_given_as_flags_is_appended_and_folded(cli: Cli) -> None:
    done = cli.run("append", "node.registered", "node_id=n1", "cap_json={}", 'pool_names_json=[{"name":"en-zh"}]')
    assert done.code == 0, done
    assert cli.redis.xrange(cli.keys("events"))[0][0] == done.out.strip()
    done = cli.run("append", "node.cordoned", "node_id=n1", "reason=too = hot", "--json")
    assert json.loads(done.out)["accepted"] is True
    assert cli.redis.hget(cli.keys.node_info("n1"), "cordon_reason") == "too = hot"


@pytest.mark.parametrize(
    ("arguments", "code", "outcome"),
    [
        (
            ("node.cordoned", "node_id=n9"),
            1,
            "UNKNOWN_NODE: node_id n9 has never registered, or was retired: append",
        ),
        (("node.cordoned",), 1, "INVALID_FIELD: node_id is missing: add it"),
        (("job.dispatched", "job_id=j1"), 1, "FORGED_DECISION"),
        (("node.cordoned", "n1"), 2, "'n1' is not field=value: write, for example, node_id=n1"),
        (("-", "node_id=n1"), 2, "put them into the lines on stdin"),
    ],
)
def test_a_refused_event_names_field_and_remedy(cli: Cli, arguments: tuple[str, ...], code: int, outcome: str) -> None:
    refused = cli.run("append", *arguments)
    assert refused.code == code
    assert outcome in refused.err
    assert "Traceback" not in refused.err


def test_a_malformed_line_in_the_middle_is_named_and_the_others_go_through(cli: Cli) -> None:
    lines = [
        b'{"type": "node.registered", "node_id": "n1", "cap_json": {"gpu": [1, 2]}, "pool_names_json": []}',
        b'{"type": "node.cordoned", "node_id": ',
        b"",
        b'{"type": "node.cordoned", "node_id": "n1", "reason": null}',
        b'{"type": "node.offline", "node_id": "n7"}',
        b'{"type": "node.offline", "node_id": "\xff"}',
        b'{"type": "node.offline", "node_id": ["n1"]}',
        b'{"type": "node.offline", "node_id": 1.5}',
        b'["node.offline"]',
        b'{"node_id": "n1"}',
        b'{"type": "session.released", "session_id": 7}',
    ]
    done = cli.run("append", "-", stdin=b"\n".join(lines))
    assert done.code == 1
    assert done.out == "3 accepted, 7 refused\n"
    outcome = done.err.splitlines()
    for number, words in {
        2: "INVALID_FIELD: the line is no JSON",
        5: "UNKNOWN_NODE: node_id n7",
        6: "INVALID_FIELD: the line is no JSON",
        7: "INVALID_FIELD: node_id is nested",
        8: "INVALID_FIELD: node_id is float: give text, a whole number or true/false",
        9: "INVALID_FIELD: the line is not a JSON object",
        10: "INVALID_FIELD: type is missing",
    }.items():
        assert sum(f"line {number}: {words}" in line for line in outcome) == 1, (number, outcome)
    info = cli.redis.hgetall(cli.keys.node_info("n1"))
    assert (info["cordoned"], info["cap_json"]) == ("true", '{"gpu":[1,2]}')


def test_lines_keep_their_order_however_many_there_are(cli: Cli) -> None:
    wanted = [f"s{n}" for n in range(3000)]
    lines = "".join(json.dumps({"type": "session.released", "session_id": name}) + "\n" for name in wanted)
    done = cli.run("append", "-", "--json", stdin=lines)
    assert done.code == 0
    reports = [json.loads(line) for line in done.out.splitlines()]
    assert reports.pop() == {"accepted": 3000, "refused": 0}
    assert [report["line"] for report in reports] == list(range(1, 3001))
    entries = cli.redis.xrange(cli.keys("events"))
    assert [fields["session_id"] for _, fields in entries] == wanted
    assert [entry_id for entry_id, _ in entries] == [report["id"] for report in reports]


def test_lines_are_sent_as_they_arrive(cli: Cli) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "streamsched", "append", "-", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=cli.folder,
        env=cli.environment,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for name in ("a", "b"):
            process.stdin.write(json.dumps({"type": "session.released", "session_id": name}) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["accepted"] is True
        process.stdin.close()
        assert json.loads(process.stdout.readline()) == {"accepted": 2, "refused": 0}


def test_control_characters_of_others_do_not_reach_the_terminal(cli: Cli) -> None:
    refused = cli.run("append", "node.offline", "node_id=\x1b[2Jn1")
    assert refused.code == 1
    assert "\x1b" not in refused.err
    cli.run("append", "node.registered", "node_id=n1", "cap_json={}")
    cli.run("append", "node.cordoned", "node_id=n1", "reason=\x1b]0;gotcha\x07[bold]hot")
    shown = cli.run("status").out
    assert "\x1b" not in shown
    assert "cordoned: \\x1b]0;gotcha\\x07[bold]hot" in shown


def test_a_reader_that_leaves_early_is_no_error(cli: Cli) -> None:
    lines = "".join(json.dumps({"type": "session.released", "session_id": f"s{n}"}) + "\n" for n in range(3000))
    (cli.folder / "lines").write_text(lines)
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m streamsched append - --json < lines | head -1"],
        cwd=cli.folder,
        env=cli.environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert json.loads(done.stdout)["line"] == 1
    assert done.stderr == ""
