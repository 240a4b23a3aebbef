"""The command line, as processes against real servers: what each command does, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from streamsched.embedded import EmbeddedServer, free_port
from streamsched.keys import Keys

from .processes import Cli, alive, eventually

COMMANDS = ("dev", "worker", "node", "append", "submit", "cancel", "status", "rebuild", "demo")
SUBMIT = ("submit", "--session", "s1", "--src", "en", "--tgt", "zh")


@pytest.fixture
def cli(servers: dict[str, EmbeddedServer], keys: Keys, tmp_path: Path) -> Iterator[Cli]:
    cli = Cli(servers["valkey"].url, keys, tmp_path)
    yield cli
    cli.end()


def node_is_open(cli: Cli, node_id: str = "n1") -> bool:
    return bool(cli.redis.hget(cli.keys.node_info(node_id), "open") == "true")


def job(cli: Cli, job_id: str) -> dict[str, str]:
    return dict(cli.redis.hgetall(cli.keys.job(job_id)))


def start_node(cli: Cli, command: str, *more: str) -> int:
    """Start node n1 and wait until it may receive jobs; returns its place in ``cli.started``."""
    cli.start("node", "n1", "--pools", "en-zh", "--exec", command, "--heartbeat-ms", "200", *more)
    eventually(lambda: node_is_open(cli))
    return len(cli.started) - 1


# --- help and usage


def test_help_says_the_exit_codes_and_shows_an_example_of_each_command(cli: Cli) -> None:
    told = cli.run("--help")
    assert told.code == 0
    assert "Exit codes: 0 ok, 1" in " ".join(told.out.split())
    assert all(f"  {command} " in told.out for command in COMMANDS)
    for command in COMMANDS:
        assert f"Example:\n    streamsched {command}" in cli.run(command, "--help").out


def test_the_version_is_told_and_an_unknown_command_is_a_usage_error(cli: Cli) -> None:
    assert cli.run("--version").out.startswith("streamsched ")
    assert cli.run("schedule").code == 2


# --- no server, or not the right one


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        (*SUBMIT, "hello"),
        ("append", "-"),
        ("rebuild", "--yes"),
        ("worker",),
        ("node", "n1", "--pools", "en-zh", "--exec", "cat"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_wrong_url_is_one_line_with_a_remedy_and_exit_code_3(cli: Cli, command: tuple[str, ...]) -> None:
    refused = cli.run(*command, "--url", f"redis://:geheim@127.0.0.1:{free_port()}", "--patience", "0.1")
    assert refused.code == 3, refused
    assert "UNREACHABLE: no answer from 127.0.0.1:" in refused.err
    assert "streamsched dev" in refused.err
    assert "geheim" not in refused.err
    assert refused.err.count("\n") == 1


def test_a_wrong_password_is_told_without_showing_it(cli: Cli, tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "server") as server:
        with Redis.from_url(server.url) as redis:
            redis.config_set("requirepass", "right")
        refused = cli.run("status", "--url", server.url.replace("//", "//:geheim@"))
        assert refused.code == 3
        assert "the server refused the login" in refused.err
        assert "geheim" not in refused.err
        assert cli.run("status", "--url", server.url.replace("//", "//:right@")).code == 0


def test_settings_that_cannot_be_used_are_usage_errors(cli: Cli) -> None:
    (cli.folder / "bad.toml").write_text('urll = "redis://localhost"')
    refused = cli.run("status", "--config", "bad.toml")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "bad.toml: unknown key 'urll'; remove it, or use one of url, namespace, partition" in refused.err
    refused = cli.run("status", STREAMSCHED_URL="http://:geheim@localhost")
    assert refused.code == 2
    assert "STREAMSCHED_URL: give redis://HOST:PORT" in refused.err
    assert "geheim" not in refused.err


def test_flags_win_over_the_environment_which_wins_over_a_file(cli: Cli) -> None:
    (cli.folder / "streamsched.toml").write_text('url = "redis://127.0.0.1:1"\nnamespace = "file"\npartition = 7')

    def told(*flags: str, **environment: str) -> tuple[str, int]:
        seen = json.loads(cli.run("status", "--json", *flags, **environment).out)["partition"]
        return seen["namespace"], seen["partition"]

    assert told() == (cli.keys.namespace, 7)
    assert told(STREAMSCHED_NAMESPACE="") == ("file", 7)
    assert told("--namespace", "flag", "--partition", "2") == ("flag", 2)


# --- append


def test_an_event_given_as_flags_is_appended_and_folded(cli: Cli) -> None:
    done = cli.run("append", "node.registered", "node_id=n1", "cap_json={}", 'pool_names_json=[{"name":"en-zh"}]')
    assert done.code == 0, done
    assert cli.redis.xrange(cli.keys("events"))[0][0] == done.out.strip()
    done = cli.run("append", "node.cordoned", "node_id=n1", "reason=too = hot", "--json")
    assert json.loads(done.out)["accepted"] is True
    assert cli.redis.hget(cli.keys.node_info("n1"), "cordon_reason") == "too = hot"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("node.cordoned", "node_id=n9"), 1, "UNKNOWN_NODE: node_id n9 has never registered: append node.registered"),
        (("node.cordoned",), 1, "INVALID_FIELD: node_id is missing: add it"),
        (("job.dispatched", "job_id=j1"), 1, "FORGED_DECISION"),
        (("node.cordoned", "n1"), 2, "'n1' is no field=value: write, for example, node_id=n1"),
        (("-", "node_id=n1"), 2, "put them into the lines on stdin"),
    ],
)
def test_an_event_that_is_refused_is_told_with_field_and_remedy(
    cli: Cli, arguments: tuple[str, ...], code: int, told: str
) -> None:
    refused = cli.run("append", *arguments)
    assert refused.code == code
    assert told in refused.err
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
    told = done.err.splitlines()
    for number, words in {
        2: "INVALID_FIELD: the line is no JSON",
        5: "UNKNOWN_NODE: node_id n7",
        6: "INVALID_FIELD: the line is no JSON",
        7: "INVALID_FIELD: node_id is nested",
        8: "INVALID_FIELD: node_id is float: give text, a whole number or true/false",
        9: "INVALID_FIELD: the line is no JSON object",
        10: "INVALID_FIELD: type is missing",
    }.items():
        assert sum(f"line {number}: {words}" in line for line in told) == 1, (number, told)
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
    assert "offline, cordoned: \\x1b]0;gotcha\\x07[bold]hot" in shown


# --- submit, cancel


def test_a_job_is_submitted_with_all_its_wishes(cli: Cli) -> None:
    wishes = ("--priority", "5", "--deadline-ms", "60000", "--not-before-ms", "1000", "--max-attempts", "2")
    done = cli.run(*SUBMIT, *wishes, "--job-id", "j1", "-", stdin='{"text": "hello"}\n')
    assert (done.code, done.out) == (0, "j1\n")
    found = job(cli, "j1")
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
    ("arguments", "code", "told"),
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
def test_a_job_that_cannot_be_taken_is_told_with_field_and_remedy(
    cli: Cli, arguments: tuple[str, ...], code: int, told: str
) -> None:
    refused = cli.run(*arguments)
    assert (refused.code, refused.out) == (code, "")
    assert told in refused.err
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
    assert job(cli, "j1")["error"] == "exit code 7: out of memory"
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
    assert job(cli, "j1")["status"] == "cancelled"


def test_a_node_that_is_told_to_end_finishes_what_runs(cli: Cli) -> None:
    place = start_node(cli, "sh -c 'touch begun; while ! test -e go; do sleep 0.05; done; echo done'")
    cli.run(*SUBMIT, "--job-id", "j1", "hello")
    eventually(lambda: (cli.folder / "begun").exists())
    node = cli.started[place]
    node.send_signal(signal.SIGTERM)
    eventually(lambda: '"stopping"' in cli.output(node))
    assert node.poll() is None
    (cli.folder / "go").touch()
    assert node.wait(20) == 0
    found = job(cli, "j1")
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
    assert job(cli, "j1")["status"] == "created"
    assert "Traceback" not in cli.output(node)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--exec", "no-such-program", "--pools", "en-zh"), 2, "--exec: no program 'no-such-program'"),
        (("--exec", "cat", "--pools", "en-en"), 1, "INVALID_FIELD: pool_names_json"),
        (("--exec", "cat", "--pools", "zh-Hant-en"), 1, '"languages"'),
        (("--exec", "cat"), 2, "give --pools en-zh,en-ja"),
        (("--exec", "cat", "--pools", "en-zh", "--cap-json", "{"), 1, "INVALID_FIELD: cap_json is not JSON"),
        (("--exec", "cat", "--pools", "en-zh", "--concurrency", "0"), 2, "--concurrency"),
    ],
)
def test_a_node_that_cannot_work_says_why(cli: Cli, arguments: tuple[str, ...], code: int, told: str) -> None:
    refused = cli.run("node", "n1", *arguments)
    assert refused.code == code, refused
    assert told in refused.err
    assert "Traceback" not in refused.err


def test_codes_that_hold_hyphens_come_in_as_json(cli: Cli) -> None:
    pool = '[{"name": "zh-Hant-en", "languages": ["zh-Hant", "en"]}]'
    cli.start("node", "n1", "--exec", "cat", "--pools-json", pool)
    eventually(lambda: node_is_open(cli))
    assert cli.run("submit", "--session", "s1", "--src", "zh-Hant", "--tgt", "en", "--wait", "x").out == "x\n"


# --- status and rebuild


def test_status_shows_nodes_pools_counters_and_what_waits(cli: Cli) -> None:
    pools = [{"name": "en-zh"}]
    registered = {"type": "node.registered", "cap_json": {}, "pool_names_json": pools}
    events: list[dict[str, object]] = [{**registered, "node_id": f"n{n}"} for n in range(3)]
    events += [
        {"type": "node.heartbeat", "node_id": "n0", "online": True},
        {"type": "node.cordoned", "node_id": "n0", "reason": "hot"},
        {"type": "job.submitted", "session_id": "s1", "src_lang": "en", "tgt_lang": "ja", "job_id": "j1"},
        {"type": "node.exploded"},
    ]
    events[-2]["payload_json"] = {"text": "hm"}
    assert cli.run("append", "-", stdin="\n".join(map(json.dumps, events))).out == "6 accepted, 1 refused\n"
    shown = json.loads(cli.run("status", "--json", "--limit", "2").out)
    partition = shown["partition"]
    assert {name: partition[name] for name in ("condition", "lag", "folded", "dead_letters", "workers")} == {
        "condition": "ok",
        "lag": 0,
        "folded": cli.redis.xlen(cli.keys("events")),
        "dead_letters": 1,
        "workers": 0,
    }
    counted = shown["counters"]
    assert {name: counted[name] for name in ("submitted", "waiting", "nodes")} == {
        "submitted": 1,
        "waiting": 1,
        "nodes": 3,
    }
    assert (shown["nodes_total"], shown["nodes_online"], len(shown["nodes"])) == (3, 1, 2)
    first = shown["nodes"][0]
    assert (first["node_id"], first["online"], first["why_closed"], first["held"]) == ("n0", True, "cordoned: hot", 0)
    assert shown["pools"] == [{"pool_id": "en-zh", "name": "en-zh", "languages": ["en", "zh"], "members": 3, "open": 0}]
    assert shown["waiting"] == [
        {"src_lang": "en", "tgt_lang": "ja", "waiting": 1, "first_job_id": "j1", "pools": 0, "open_pools": 0}
    ]
    text = cli.run("status", "--limit", "2").out
    for words in ("cordoned: hot", "en → ja", "no pool serves it", "1 more nodes (--limit", "no worker runs", "1 of 3"):
        assert words in text


def test_status_shows_the_true_lag_while_nobody_folds(cli: Cli) -> None:
    for n in range(3):
        cli.redis.xadd(cli.keys("events"), {"type": "session.released", "session_id": f"s{n}"})
    assert json.loads(cli.run("status", "--json").out)["partition"]["lag"] == 3
    cli.run("append", "session.released", "session_id=s3")
    cli.redis.xadd(cli.keys("events"), {"type": "session.released", "session_id": "s4"})
    assert json.loads(cli.run("status", "--json").out)["partition"]["lag"] == 1


def test_status_of_a_halted_partition_or_a_log_with_a_gap_says_so_and_is_a_failure(cli: Cli) -> None:
    cli.run("append", "session.released", "session_id=s1")
    lost = cli.redis.xadd(cli.keys("events"), {"type": "session.released", "session_id": "s2"})
    cli.redis.xdel(cli.keys("events"), lost)
    told = cli.run("status")
    assert told.code == 1
    assert "gap" in told.out
    assert "restore the log" in told.out
    cli.redis.hset(cli.keys("meta"), mapping={"begin": "1-1", "done": "torn"})
    told = cli.run("status")
    assert told.code == 1
    assert "a call was torn at 1-1" in told.out


def test_status_can_be_watched_until_ctrl_c(cli: Cli) -> None:
    watcher = cli.start("status", "--watch", "--json", "--interval", "0.1")
    eventually(lambda: cli.output(watcher).count("\n") >= 2)
    assert cli.stop(watcher, signal.SIGINT) == 130
    assert "Traceback" not in cli.output(watcher)


def test_rebuild_asks_first_and_gives_back_the_same_state(cli: Cli) -> None:
    cli.run("append", "node.registered", "node_id=n1", "cap_json={}", 'pool_names_json=[{"name":"en-zh"}]')
    cli.run(*SUBMIT, "--job-id", "j1", "hello")
    before = job(cli, "j1")
    refused = cli.run("rebuild")
    assert refused.code == 2
    assert "drops the folded state" in refused.err
    assert "--yes" in refused.err
    assert cli.redis.hexists(cli.keys("meta"), "folded")
    cli.redis.delete(cli.keys.job("j1"))
    done = cli.run("rebuild", "--yes", "--json")
    assert (done.code, json.loads(done.out)) == (0, {"folded": 2})
    assert job(cli, "j1") == before


def test_a_state_whose_log_is_incomplete_is_not_dropped(cli: Cli) -> None:
    cli.run(*SUBMIT, "--job-id", "j1", "hello")
    cli.redis.xtrim(cli.keys("events"), maxlen=0, approximate=False)
    refused = cli.run("rebuild", "--yes")
    assert refused.code == 1
    assert "GAP: the log took in 1 entries and holds 0" in refused.err
    assert job(cli, "j1")["status"] == "created"


# --- dev, worker, demo


def test_dev_is_all_it_takes_and_leaves_no_process_behind(cli: Cli) -> None:
    port = free_port()
    dev = cli.start("dev", "--port", str(port), "--json", "--namespace", "own", "--data", "kept")
    ready = json.loads(eventually(lambda: cli.output(dev)))
    assert (ready["url"], ready["namespace"]) == (f"redis://127.0.0.1:{port}", "own")
    there = ("--url", ready["url"], "--namespace", "own")
    node = cli.start("node", "n1", "--pools", "en-zh", "--exec", "tr a-z A-Z", *there)
    done = cli.run(*SUBMIT, "--job-id", "j1", "--timeout", "20", *there, "hello")
    assert (done.code, done.out) == (0, "HELLO\n"), done
    second = cli.run("dev", "--port", str(port))
    assert second.code == 2
    assert "somebody listens there already" in second.err
    second = cli.run("dev", "--data", "kept")
    assert second.code == 2
    assert "a server runs on" in second.err
    assert cli.stop(node) == 0
    assert cli.stop(dev) == 0
    assert not alive(ready["server_pid"])
    # started again on the same data, it still knows the job
    dev = cli.start("dev", "--port", str(port), "--data", "kept", "--namespace", "own")
    eventually(lambda: "Ctrl-C" in cli.output(dev))
    assert f"streamsched status --watch --url redis://127.0.0.1:{port} --namespace own" in cli.output(dev)
    assert json.loads(cli.run("status", "--json", *there).out)["counters"]["finished"] == 1
    assert cli.stop(dev, signal.SIGINT) == 0
    assert "Traceback" not in cli.output(dev)


def test_data_stays_locked_while_a_server_works_on_it_even_if_dev_was_killed(cli: Cli) -> None:
    dev = cli.start("dev", "--port", str(free_port()), "--json", "--data", "kept")
    ready = json.loads(eventually(lambda: cli.output(dev)))
    dev.kill()
    dev.wait()
    refused = cli.run("dev", "--data", "kept")
    os.kill(ready["server_pid"], signal.SIGTERM)
    assert refused.code == 2
    assert "a server runs on" in refused.err
    eventually(lambda: not alive(ready["server_pid"]))
    dev = cli.start("dev", "--port", str(free_port()), "--json", "--data", "kept")
    eventually(lambda: cli.output(dev))
    assert cli.stop(dev) == 0


def test_demo_refuses_what_it_cannot_play(cli: Cli) -> None:
    refused = cli.run("demo", "--seconds", "2")
    assert refused.code == 2
    assert "--seconds is 2: give 5 to 86400" in refused.err
    assert cli.run("demo", "--trace", "nowhere.jsonl").code == 2


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
