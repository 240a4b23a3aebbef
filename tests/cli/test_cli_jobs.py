"""``streamsched submit``, ``cancel`` and ``node``, as processes: a job's way through the command line."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from streamsched.contract.keys import Keys
from streamsched.server.embedded import EmbeddedServer

from ..support.processes import SUBMIT, Cli, alive, eventually
from ..support.servers.aof import SYNCED


def node_is_open(cli: Cli, node_id: str = "n1") -> bool:
    return bool(cli.redis.hget(cli.keys.node_info(node_id), "open") == "true")


def start_node(cli: Cli, command: str, *more: str) -> int:
    """Start node n1 and wait until it may receive jobs; returns its place in ``cli.started``."""
    cli.start("node", "n1", "--pools", "en-zh", "--exec", command, "--heartbeat-ms", "200", *more)
    eventually(lambda: node_is_open(cli))
    return len(cli.started) - 1


# --- submit, cancel


def test_a_job_is_submitted_with_all_its_wishes(cli: Cli) -> None:
    wishes = ("--priority", "5", "--deadline-ms", "60000", "--not-before-ms", "1000", "--max-attempts", "2")
    done = cli.run(*SUBMIT, *wishes, "--job-id", "j1", "-", stdin='{"text": "hello"}\n')
    assert (done.code, done.out) == (0, "j1\n")
    found = cli.job("j1")
    assert {name: found[name] for name in ("status", "priority", "max_attempts", "payload_json")} == {
        "status": "created",
        "priority": "5",
        "max_attempts": "2",
        "payload_json": '{"text": "hello"}',
    }
    ahead = [int(found[name]) - int(found["created_ts"]) for name in ("deadline_ts", "not_before_ts")]
    assert 59_000 < ahead[0] <= 60_000
    assert 0 < ahead[1] <= 1000


@pytest.mark.parametrize(
    ("arguments", "code", "outcome"),
    [
        ((*SUBMIT[:-1], "e n", "x"), 1, "INVALID_FIELD: tgt_lang is no language code"),
        ((*SUBMIT, ""), 1, "INVALID_FIELD: payload_json is empty"),
        ((*SUBMIT, "--priority", "101", "x"), 1, "INVALID_FIELD: priority"),
        ((*SUBMIT, "--deadline-ms", "0", "x"), 2, "--deadline-ms"),
        ((*SUBMIT, "--timeout", "0.2", "x"), 1, "RESULT_TIMEOUT"),
        (("submit", "--session", "s1", "x"), 2, "--src"),
        (("cancel", "j9"), 1, "UNKNOWN_JOB: job_id j9"),
    ],
)
def test_a_refused_job_names_field_and_remedy(cli: Cli, arguments: tuple[str, ...], code: int, outcome: str) -> None:
    refused = cli.run(*arguments)
    assert (refused.code, refused.out) == (code, "")
    assert outcome in refused.err
    assert "Traceback" not in refused.err


# --- node


def test_a_program_gets_the_payload_and_the_facts_and_gives_the_result(cli: Cli) -> None:
    facts = "$STREAMSCHED_JOB_ID $STREAMSCHED_SESSION_ID $STREAMSCHED_SRC_LANG $STREAMSCHED_TGT_LANG"
    start_node(cli, f"sh -c 'tr a-z A-Z; echo \"|{facts} $STREAMSCHED_ATTEMPT\"'")
    done = cli.run(*SUBMIT, "--job-id", "j1", "--wait", "--json", "hello")
    assert done.code == 0, done
    assert json.loads(done.out) == {
        "job_id": "j1",
        "status": "finished",
        "node_id": "n1",
        "result_json": "HELLO|j1 s1 en zh 1",
        "error": "",
    }


def test_a_program_that_fails_fails_the_job_with_the_end_of_its_stderr(cli: Cli) -> None:
    start_node(cli, "sh -c 'echo out of memory >&2; exit 7'")
    done = cli.run(*SUBMIT, "--job-id", "j1", "--max-attempts", "1", "--wait", "hello")
    assert (done.code, done.out) == (1, "")
    assert done.err == "streamsched: job j1 failed on n1: exit code 7: out of memory\n"
    assert cli.job("j1")["error"] == "exit code 7: out of memory"
    assert "Traceback" not in cli.output(cli.started[0])


def test_output_that_is_no_text_or_too_much_fails_the_job(cli: Cli) -> None:
    start_node(cli, "sh -c 'read how; case $how in much) yes;; raw) printf \"\\377\";; dead) kill -9 $$;; esac'")
    errors = {}
    for how in ("much", "raw", "dead", "none"):
        done = cli.run(*SUBMIT, "--max-attempts", "1", "--timeout", "20", "--json", how)
        errors[how] = json.loads(done.out)["error"]
    assert errors.pop("none") == ""
    assert "exceeds 1048576 bytes" in errors["much"]
    assert "not UTF-8" in errors["raw"]
    assert errors["dead"] == "ended by SIGKILL"


def test_a_cancelled_job_ends_its_program(cli: Cli) -> None:
    start_node(cli, "sh -c 'echo $$ > pid; exec sleep 60'")
    cli.run(*SUBMIT, "--job-id", "j1", "hello")
    pid = int(eventually(lambda: (cli.folder / "pid").exists() and (cli.folder / "pid").read_text().strip()))
    assert alive(pid)
    done = cli.run("cancel", "j1", "--reason", "user left")
    assert (done.code, done.out) == (0, "j1 cancelled\n")
    eventually(lambda: not alive(pid))
    assert cli.job("j1")["status"] == "cancelled"


def test_a_stopped_node_finishes_its_running_jobs(cli: Cli) -> None:
    place = start_node(cli, "sh -c 'touch begun; while ! test -e go; do sleep 0.05; done; echo done'")
    cli.run(*SUBMIT, "--job-id", "j1", "hello")
    eventually(lambda: (cli.folder / "begun").exists())
    node = cli.started[place]
    node.send_signal(signal.SIGTERM)
    eventually(lambda: '"stopping"' in cli.output(node))
    assert node.poll() is None
    (cli.folder / "go").touch()
    assert node.wait(20) == 0
    found = cli.job("j1")
    assert (found["status"], found["result_json"], found["attempts"]) == ("finished", "done", "1")
    assert cli.redis.hget(cli.keys.node_info("n1"), "online") == "false"


def test_a_second_signal_ends_the_program_and_hands_the_job_back(cli: Cli) -> None:
    place = start_node(cli, "sh -c 'echo $$ > pid; exec sleep 60'")
    cli.run(*SUBMIT, "--job-id", "j1", "hello")
    pid = int(eventually(lambda: (cli.folder / "pid").exists() and (cli.folder / "pid").read_text().strip()))
    node = cli.started[place]
    node.send_signal(signal.SIGINT)
    eventually(lambda: '"stopping"' in cli.output(node))
    assert cli.stop(node, signal.SIGINT) == 130
    assert not alive(pid)
    assert cli.job("j1")["status"] == "created"
    assert "Traceback" not in cli.output(node)


@pytest.mark.parametrize(
    ("arguments", "code", "outcome"),
    [
        (("--exec", "no-such-program", "--pools", "en-zh"), 2, "--exec: no program 'no-such-program'"),
        (("--exec", "cat", "--pools", "en-en"), 1, "INVALID_FIELD: pool_names_json"),
        (("--exec", "cat", "--pools", "zh-Hant-en"), 1, '"languages"'),
        (("--exec", "cat"), 2, "give --pools en-zh,en-ja"),
        (("--exec", "cat", "--pools", "en-zh", "--cap-json", "{"), 1, "INVALID_FIELD: cap_json is not JSON"),
        (("--exec", "cat", "--pools", "en-zh", "--concurrency", "0"), 2, "--concurrency"),
    ],
)
def test_a_node_that_cannot_work_says_why(cli: Cli, arguments: tuple[str, ...], code: int, outcome: str) -> None:
    refused = cli.run("node", "n1", *arguments)
    assert refused.code == code, refused
    assert outcome in refused.err
    assert "Traceback" not in refused.err


def test_codes_that_hold_hyphens_come_in_as_json(cli: Cli) -> None:
    pool = '[{"name": "zh-Hant-en", "languages": ["zh-Hant", "en"]}]'
    cli.start("node", "n1", "--exec", "cat", "--pools-json", pool)
    eventually(lambda: node_is_open(cli))
    assert cli.run("submit", "--session", "s1", "--src", "zh-Hant", "--tgt", "en", "--wait", "x").out == "x\n"


def test_a_node_waits_out_a_server_that_is_away_for_longer_than_its_patience(keys: Keys, tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "server", append_only=True, options=SYNCED) as server:
        cli = Cli(server.url, keys, tmp_path)
        try:
            start_node(
                cli, "sh -c 'touch begun; while ! test -e go; do sleep 0.05; done; echo done'", "--patience", "0.1"
            )
            cli.run(*SUBMIT, "--job-id", "j1", "hello")
            eventually(lambda: (tmp_path / "begun").exists() and cli.job("j1")["status"] == "running")
            server.kill()
            (tmp_path / "go").touch()  # the result is ready while no server is there to take it
            time.sleep(1)
            server.start()
            eventually(lambda: cli.job("j1").get("status") == "finished")
            assert cli.run(*SUBMIT, "--timeout", "20", "hello").out == "done\n"
            assert cli.stop(cli.started[0]) == 0
        finally:
            cli.end()
