"""A program as a job's handler: what it is given, what is taken from it, and that nothing of it stays behind."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from streamsched.cli.operate.append import flat_arguments, flat_event
from streamsched.cli.run.node import pools_of, program_of
from streamsched.console.terminal import UsageProblem, address_of
from streamsched.contract.errors import InvalidField, JobFailed
from streamsched.contract.wire import repeatable
from streamsched.node import program
from streamsched.node.program import Program
from streamsched.node.task import Assignment
from streamsched.sanitize import one_line, visible

from ..support.live import until
from ..support.processes import alive

pytestmark = pytest.mark.anyio


def assignment(payload: str = "hello") -> Assignment:
    return Assignment(
        job_id="j1",
        node_id="n1",
        attempt="1-0-x",
        session_id="s1",
        src_lang="en",
        tgt_lang="zh",
        payload_json=payload,
        attempts=2,
    )


@pytest.mark.parametrize(
    ("command", "result"),
    [
        ("tr a-z A-Z", "HELLO"),
        ("true", None),
        ("printf ''", None),
        ("printf '\\n'", None),
        ("printf 'two\\nlines\\n\\n'", "two\nlines\n"),
        ("printf '%s %s' 'a b' '$HOME'", "a b $HOME"),
        ("sh -c 'printf $STREAMSCHED_ATTEMPT'", "2"),
    ],
)
async def test_the_result_is_what_the_program_prints_but_for_the_last_newline(command: str, result: str | None) -> None:
    assert await Program(command).run(assignment()) == result


@pytest.mark.parametrize(
    "url", ["redis://me:geheim@h1", "redis+sentinel://h1/m?sentinel_password=geheim"], ids=["server", "sentinel"]
)
async def test_a_program_does_not_find_the_password_that_it_might_print(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMSCHED_PASSWORD", "geheim")
    monkeypatch.setenv("STREAMSCHED_URL", url)
    monkeypatch.setenv("STREAMSCHED_NAMESPACE", "ns")
    found = await Program("env").run(assignment())
    assert found is not None
    assert "geheim" not in found
    assert "STREAMSCHED_NAMESPACE=ns" in found
    monkeypatch.setenv("STREAMSCHED_URL", "redis://me@h1")
    assert "STREAMSCHED_URL=redis://me@h1" in (await Program("env").run(assignment()) or "")


async def test_a_program_need_not_read_a_large_payload() -> None:
    assert await Program("echo done").run(assignment("x" * 1_000_000)) == "done"


async def test_a_large_payload_comes_back_whole() -> None:
    assert await Program("cat").run(assignment("ü" * 500_000)) == "ü" * 500_000


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("false", "exit code 1"),
        ("sh -c 'echo why >&2; exit 3'", "exit code 3: why"),
        ("sh -c 'kill -TERM $$'", "ended by SIGTERM"),
        ("printf '\\377'", "the output is not UTF-8"),
        ("yes", "the output exceeds 1048576 bytes"),
    ],
)
async def test_what_is_no_result_fails_the_attempt_with_its_cause(command: str, error: str) -> None:
    with pytest.raises(JobFailed) as failed:
        await Program(command).run(assignment())
    assert str(failed.value).startswith(error)


async def test_of_a_long_complaint_the_end_is_kept() -> None:
    with pytest.raises(JobFailed) as failed:
        await Program("sh -c 'seq 100000 >&2; echo the cause >&2; exit 1'").run(assignment())
    assert str(failed.value).endswith("the cause")
    assert len(str(failed.value)) < 2100


async def test_a_program_that_ignores_sigterm_is_killed_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "TERM_S", 0.2)
    script = f"trap '' TERM; (trap '' TERM; sleep 60) & echo $! $$ > {tmp_path}/pids; wait"

    async def begun() -> bool:
        return (tmp_path / "pids").exists() and len((tmp_path / "pids").read_text().split()) == 2

    async with anyio.create_task_group() as group:
        group.start_soon(Program(shlex.join(["sh", "-c", script])).run, assignment())
        await until(begun)
        group.cancel_scope.cancel()
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]

    async def gone() -> bool:
        return not any(alive(pid) for pid in pids)

    await until(gone)


async def test_a_program_cancelled_while_it_starts_is_ended_with_all_it_has_started_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child may be far ahead of a busy parent, which is still connecting its pipes."""
    open_process = anyio.open_process

    async def begun() -> bool:
        return (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip() != ""

    async def slow(*args: Any, **options: Any) -> Any:
        process = await open_process(*args, **options)
        await until(begun)
        group.cancel_scope.cancel()
        await anyio.lowlevel.checkpoint()
        return process

    monkeypatch.setattr(anyio, "open_process", slow)
    async with anyio.create_task_group() as group:
        group.start_soon(Program(f"sh -c 'sleep 60 & echo $! > {tmp_path}/pid; wait'").run, assignment())

    async def gone() -> bool:
        return not alive(int((tmp_path / "pid").read_text()))

    await until(gone)


async def test_what_a_program_leaves_running_does_not_hold_up_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "DRAIN_S", 0.2)
    script = f"sleep 60 & echo $! > {tmp_path}/pid; echo done"
    with anyio.fail_after(10):
        assert await Program(f"sh -c '{script}'").run(assignment()) == "done"

    async def gone() -> bool:
        return not alive(int((tmp_path / "pid").read_text()))

    await until(gone)


@pytest.mark.parametrize(
    ("command", "words"),
    [("", "the command is empty"), ("sh -c 'x", "No closing quotation"), ("no-such-program", "no program")],
)
def test_a_command_that_cannot_be_run_is_a_usage_error(command: str, words: str) -> None:
    with pytest.raises(UsageProblem, match=f"--exec: {words}"):
        program_of(command)


def test_pools_come_as_names_as_json_or_as_both() -> None:
    assert pools_of(" en-zh , en-ja", None) == ["en-zh", "en-ja"]
    assert pools_of("en-zh", '[{"name": "x"}]') == ["en-zh", {"name": "x"}]
    for names, listed in ((None, None), (",", None), (None, "[]"), (None, "{"), (None, "{}"), (None, "[1]")):
        with pytest.raises(UsageProblem, match=r"give|not JSON"):
            pools_of(names, listed)


def test_an_address_is_host_and_port() -> None:
    assert address_of("--health", "127.0.0.1:8080") == ("127.0.0.1", 8080)
    assert address_of("--health", ":0") == ("0.0.0.0", 0)
    for text in ("8080", "host:", "host:http", "host:65536", "host:²"):
        with pytest.raises(UsageProblem, match="give HOST:PORT"):
            address_of("--health", text)


def test_a_field_is_given_once_and_as_field_equals_value() -> None:
    assert flat_arguments("t", ["a=1", "b=x=y", "c="]) == ["type", "t", "a", "1", "b", "x=y", "c", ""]
    for pairs in (["a"], ["=1"], ["a=1", "a=2"], ["type=x"]):
        with pytest.raises(UsageProblem):
            flat_arguments("t", pairs)


def test_a_json_object_becomes_flat_fields() -> None:
    event = {"n": 7, "type": "t", "yes": True, "none": None, "cap_json": {"a": [1, "ü"]}, "text": "x"}
    assert flat_event(event) == ["type", "t", "n", "7", "yes", "true", "cap_json", '{"a":[1,"ü"]}', "text", "x"]
    refused: list[object] = [[], "x", {}, {"type": 1}, {"type": "t", "a": [1]}, {"type": "t", "a": 0.5}]
    for wrong in refused:
        with pytest.raises(InvalidField):
            flat_event(wrong)


def test_a_submission_without_a_name_gets_one_so_that_it_can_be_repeated() -> None:
    made = repeatable(flat_event({"type": "job.submitted", "session_id": "s1"}))
    assert made[4:-1] == ["request_id"]
    named = flat_event({"type": "job.submitted", "session_id": "s1", "job_id": "j"})
    assert repeatable(named) == named


def test_control_characters_are_shown_and_not_sent() -> None:
    assert visible("a\x1b[31m\x07\n\tb\x9b\u202e\ud800") == "a\\x1b[31m\\x07\n\tb\\x9b\\u202e\\ud800"
    assert one_line("a\r\n\tb") == "a\\r\\n\\tb"
