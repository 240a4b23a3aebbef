"""The command line, as processes against real servers: effects and errors of each command."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from streamsched.server.embedded import EmbeddedServer, free_port

from ..support.processes import SUBMIT, Cli, alive, eventually

COMMANDS = ("dev", "worker", "node", "append", "submit", "cancel", "status", "rebuild", "demo")


# --- help and usage


def test_help_says_the_exit_codes_and_shows_an_example_of_each_command(cli: Cli) -> None:
    outcome = cli.run("--help")
    assert outcome.code == 0
    assert "Exit codes: 0 done, 1" in " ".join(outcome.out.split())
    assert all(f"  {command} " in outcome.out for command in COMMANDS)
    for command in COMMANDS:
        assert f"Example:\n    streamsched {command}" in cli.run(command, "--help").out


def test_the_version_is_printed_and_an_unknown_command_is_a_usage_error(cli: Cli) -> None:
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
    url = f"redis://:geheim@127.0.0.1:{free_port()}"
    refused = cli.run(*command, "--patience", "0.1", STREAMSCHED_URL=url)
    assert refused.code == 3, refused
    assert "UNREACHABLE: no answer from 127.0.0.1:" in refused.err
    assert "streamsched dev" in refused.err
    assert "geheim" not in refused.err
    assert refused.err.count("\n") == 1


def test_a_wrong_password_is_reported_without_showing_it(cli: Cli, tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "server") as server:
        with Redis.from_url(server.url) as redis:
            redis.config_set("requirepass", "right")
        refused = cli.run("status", "--url", server.url, STREAMSCHED_PASSWORD="geheim")
        assert refused.code == 3
        assert "the server refused the login" in refused.err
        assert "geheim" not in refused.err
        (tmp_path / "secret").write_text("right\n")
        assert cli.run("status", "--url", server.url, "--password-file", str(tmp_path / "secret")).code == 0


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

    def outcome(*flags: str, **environment: str) -> tuple[str, int]:
        seen = json.loads(cli.run("status", "--json", *flags, **environment).out)["partition"]
        return seen["namespace"], seen["partition"]

    assert outcome() == (cli.keys.namespace, 7)
    assert outcome(STREAMSCHED_NAMESPACE="") == ("file", 7)
    assert outcome("--namespace", "flag", "--partition", "2") == ("flag", 2)


# --- status and rebuild


def test_status_shows_nodes_pools_counters_and_what_waits(cli: Cli) -> None:
    pools = [{"name": "en-zh"}]
    registered = {"type": "node.registered", "cap_json": {}, "pool_names_json": pools}
    events: list[dict[str, Any]] = [{**registered, "node_id": f"n{n}"} for n in range(3)]
    events += [
        *({"type": "node.offline", "node_id": f"n{n}"} for n in (1, 2)),
        {"type": "node.cordoned", "node_id": "n0", "reason": "hot"},
        {"type": "job.submitted", "session_id": "s1", "src_lang": "en", "tgt_lang": "ja", "job_id": "j1"},
        {"type": "node.exploded"},
    ]
    events[-2]["payload_json"] = {"text": "hm"}
    assert cli.run("append", "-", stdin="\n".join(map(json.dumps, events))).out == "7 accepted, 1 refused\n"
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
    pool = {"pool_id": "en-zh", "name": "en-zh", "languages": ["en", "zh"], "members": 3, "open": 0, "paused": False}
    assert shown["pools"] == [pool]
    pair = {"src_lang": "en", "tgt_lang": "ja", "paused": False}
    assert shown["waiting"] == [pair | {"waiting": 1, "first_job_id": "j1", "pools": 0, "open_pools": 0}]
    text = cli.run("status", "--limit", "2").out
    for words in ("cordoned: hot", "en → ja", "no pool serves it", "1 more nodes (--limit", "no worker runs", "1 of 3"):
        assert words in text


def test_status_shows_the_true_lag_while_no_worker_runs(cli: Cli) -> None:
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
    outcome = cli.run("status")
    assert outcome.code == 1
    assert "gap" in outcome.out
    assert "restore the log" in outcome.out
    cli.redis.hset(cli.keys("meta"), mapping={"begin": "1-1", "done": "torn"})
    outcome = cli.run("status")
    assert outcome.code == 1
    assert "a call was torn at 1-1" in outcome.out


def test_status_can_be_watched_until_ctrl_c(cli: Cli) -> None:
    watcher = cli.start("status", "--watch", "--json", "--interval", "0.1")
    eventually(lambda: cli.output(watcher).count("\n") >= 2)
    assert cli.stop(watcher, signal.SIGINT) == 130
    assert "Traceback" not in cli.output(watcher)


def test_rebuild_asks_first_and_gives_back_the_same_state(cli: Cli) -> None:
    cli.run("append", "node.registered", "node_id=n1", "cap_json={}", 'pool_names_json=[{"name":"en-zh"}]')
    cli.run(*SUBMIT, "--job-id", "j1", "hello")
    before = cli.job("j1")
    refused = cli.run("rebuild")
    assert refused.code == 2
    assert "drops the folded state" in refused.err
    assert "--yes" in refused.err
    assert cli.redis.hexists(cli.keys("meta"), "folded")
    cli.redis.delete(cli.keys.job("j1"))
    done = cli.run("rebuild", "--yes", "--json")
    assert (done.code, json.loads(done.out)) == (0, {"folded": 3})  # with the dispatch
    assert cli.job("j1") == before


def test_a_state_whose_log_is_incomplete_is_not_dropped(cli: Cli) -> None:
    cli.run(*SUBMIT, "--job-id", "j1", "hello")
    cli.redis.xtrim(cli.keys("events"), maxlen=0, approximate=False)
    refused = cli.run("rebuild", "--yes")
    assert refused.code == 1
    assert "GAP: of the 1 events of the log 1 are not in it now" in refused.err
    assert "streamsched rebuild --from DIR" in refused.err
    assert cli.job("j1")["status"] == "created"


# --- dev, worker, demo


def test_dev_is_all_it_takes_and_leaves_no_process_behind(cli: Cli) -> None:
    port = free_port()
    dev = cli.start("dev", "--port", str(port), "--json", "--namespace", "own", "--data", "kept")
    ready = json.loads(eventually(lambda: cli.output(dev)))
    assert (ready["url"], ready["namespace"]) == (f"redis://127.0.0.1:{port}", "own")
    measured = httpx.get(ready["metrics"], trust_env=False).text
    assert 'streamsched_server_up{partition="0",scheduler="own"} 1.0' in measured
    there = ("--url", ready["url"], "--namespace", "own")
    node = cli.start("node", "n1", "--pools", "en-zh", "--exec", "tr a-z A-Z", *there)
    done = cli.run(*SUBMIT, "--job-id", "j1", "--timeout", "20", *there, "hello")
    assert (done.code, done.out) == (0, "HELLO\n"), done
    second = cli.run("dev", "--port", str(port))
    assert second.code == 2
    assert "the port is in use" in second.err
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


def test_data_stays_locked_while_a_server_works_on_it_which_ends_with_a_dev_that_was_killed(cli: Cli) -> None:
    dev = cli.start("dev", "--port", str(free_port()), "--json", "--data", "kept")
    ready = json.loads(eventually(lambda: cli.output(dev)))
    refused = cli.run("dev", "--data", "kept")
    assert refused.code == 2
    assert "a server runs on" in refused.err
    dev.kill()
    dev.wait()
    eventually(lambda: not alive(ready["server_pid"]))
    dev = cli.start("dev", "--port", str(free_port()), "--json", "--data", "kept")
    eventually(lambda: cli.output(dev))
    assert cli.stop(dev) == 0


def test_demo_refuses_what_it_cannot_play(cli: Cli) -> None:
    refused = cli.run("demo", "--seconds", "2")
    assert refused.code == 2
    assert "--seconds is 2: give 5 to 86400" in refused.err
    assert cli.run("demo", "--trace", "nowhere.jsonl").code == 2
