"""Text of clients, printed by every command: it cannot control the terminal, and JSON holds it in full."""

from __future__ import annotations

import io
import json
import unicodedata

import msgspec
import pytest
import structlog

from streamsched.ops import logs
from streamsched.sanitize import visible, visible_json

from ..support.ledger import Ledger
from ..support.processes import Cli, eventually

pytestmark = pytest.mark.anyio

ESCAPES = "\x1b[2J\x1b]0;gotcha\x07\r\x08\x7f"
"""What a raw terminal acts on; an id may not hold it, a reason or a payload may."""

UNSEEN = "\x9b2J\u202e\u2066\u200b\ufeff\U000e0041"
"""C1, directions, the unseen: characters that an id may hold."""

TEXT = f"{ESCAPES}{UNSEEN}[bold]\\[link=file:///x]\n"
NODE, JOB, SESSION, POOL = f"n{UNSEEN}", f"j{UNSEEN}", f"s{UNSEEN}", f"p{UNSEEN}"


def acting(text: str) -> set[str]:
    """The characters of ``text`` that may act on a terminal or deceive a reader, by what Unicode says of them."""
    kinds = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return {f"U+{ord(c):04X}" for c in text if unicodedata.category(c) in kinds and c not in "\n\t\u200c\u200d"}


@pytest.fixture
async def hostile(log: Ledger, cli: Cli) -> Cli:
    """A partition in which every text that a producer chooses is hostile."""
    pools = json.dumps([{"id": "1", "name": "en-zh"}])
    await log.append(
        ["type", "node.registered", "node_id", NODE, "cap_json", json.dumps(TEXT), "pool_names_json", pools],
        ["type", "node.heartbeat", "node_id", NODE, "online", "true", "load_json", json.dumps(UNSEEN)],
        ["type", "node.registered", "node_id", "idle", "cap_json", "{}", "mailbox", NODE],
        ["type", "node.cordoned", "node_id", "idle", "reason", TEXT],
    )
    submission = {"session_id": SESSION, "src_lang": "en", "tgt_lang": "zh", "payload_json": TEXT, UNSEEN: TEXT}
    for job_id in (JOB, f"{JOB}2"):
        await log.add({"type": "job.submitted", "job_id": job_id, **submission})
    await log.advance()
    await log.tell("completed", JOB, node_id=NODE, status="finished", result_json=TEXT)
    await log.add({"type": "job.cancelled", "job_id": f"{JOB}2", "reason": TEXT})
    waiting = {**submission, "job_id": f"{JOB}3", "src_lang": "xx"}
    await log.add({"type": "job.submitted", **waiting})
    await log.add({"type": f"job{TEXT}", "job_id": JOB})
    await log.add({"type": "node.offline", "node_id": NODE, "reason": TEXT})
    await log.add({"type": "node.offline", "node_id": f"nobody{UNSEEN}", "reason": TEXT})
    await log.advance()
    return cli


SHOWN = [
    ("status",),
    ("trace", "job", JOB),
    ("trace", "job", f"{JOB}2"),
    ("trace", "node", NODE),
    ("trace", "session", SESSION),
    ("explain", "job", JOB),
    ("explain", "job", f"{JOB}3"),
    ("at", "9999999999999"),
    ("diff", "0-1", "9999999999999"),
    ("query", "SELECT * FROM events"),
    ("query", "SELECT * FROM dead_letters"),
    ("query", "SELECT * FROM jobs"),
    ("query", f'SELECT 1 AS "{UNSEEN}[bold]"'),
    ("dead", "list"),
    ("dead", "show", "letter"),
    ("dead", "retry", "--all"),
    ("cancel", f"{JOB}3", "--reason", TEXT),
    ("append", "node.offline", f"node_id={NODE}", f"reason={TEXT}"),
]
"""Commands that print what is in the log or in the state."""


async def pointed(log: Ledger, command: tuple[str, ...]) -> list[str]:
    """A command with the ids of this log in the place of names for them."""
    entries = await log.redis.xrange(log.keys("events"))
    ids = {"0-1": entries[0][0], "9999999999999": entries[-1][0], "letter": (await log.letter_ids())[-1]}
    return [ids.get(word, word) for word in command]


@pytest.mark.parametrize("command", SHOWN, ids=[visible(" ".join(words[:2])) for words in SHOWN])
async def test_nothing_that_a_command_prints_acts_on_the_terminal(
    command: tuple[str, ...], hostile: Cli, log: Ledger
) -> None:
    words = await pointed(log, command)
    for form in ([], ["--csv"], ["--json"]):
        if form == ["--csv"] and command[0] != "query":
            continue
        done = hostile.run(*words, *form)
        assert done.err == "" or done.code in (1, 2), done.err
        printed = done.out.replace("\r\n", "\n") + done.err  # a line of CSV ends so
        assert acting(printed) == set(), f"{words[0]} {form}: {printed}"
        if form == ["--json"]:
            outcome = [json.loads(line) for line in done.out.splitlines()]
            if command[0] not in ("append", "cancel"):
                assert outcome
                assert UNSEEN in json.dumps(outcome, ensure_ascii=False), "JSON says it as it is"


async def test_a_difference_that_verify_finds_is_printed_harmlessly(hostile: Cli, log: Ledger) -> None:
    await log.redis.hset(log.keys.job(JOB), "result_json", f"other{TEXT}")
    shown, outcome = hostile.run("verify"), hostile.run("verify", "--json")
    assert (shown.code, outcome.code) == (1, 1)
    assert acting(shown.out + shown.err + outcome.out + outcome.err) == set()
    assert json.loads(outcome.out)["live"]["result_json"] == f"other{TEXT}"


async def test_a_refusal_repeats_what_it_refuses_harmlessly(cli: Cli) -> None:
    for words in (
        ["append", "node.offline", f"node_id=\x1b{UNSEEN}"],
        ["append", f"node{TEXT}", "node_id=n1"],
        ["append", "-"],
        ["cancel", f"{JOB}{ESCAPES}"],
        ["trace", "job", f"{JOB}{ESCAPES}"],
        ["explain", "job", f"{JOB}{ESCAPES}"],
        ["at", f"yesterday{TEXT}"],
        ["query", f"SELECT '{UNSEEN}' FROM nowhere{UNSEEN}"],
    ):
        refused = cli.run(*words, stdin=json.dumps({"type": f"x{TEXT}", f"field{TEXT}": "1"}, ensure_ascii=False))
        assert refused.code in (0, 1, 2), refused.err  # what was refused has a story, too
        assert acting(refused.out + refused.err) == set(), words


async def test_a_result_and_a_failure_are_printed_harmlessly(cli: Cli) -> None:
    worker = cli.start("worker")
    node = cli.start("node", "n1", "--pools", "en-zh", "--exec", "sh -c 'cat; grep -q fail && exit 1 || cat'")
    failing = cli.start("node", "n2", "--pools", "en-fr", "--exec", "sh -c 'cat >&2; exit 1'")
    eventually(lambda: cli.redis.zcard(cli.keys("expiry")) == 2)
    submit = ("submit", "--session", "s", "--timeout", "30", "--src", "en")
    for words in ((*submit, "--tgt", "zh"), (*submit, "--tgt", "fr", "--max-attempts", "1")):
        for form in ((), ("--json",)):
            ended = cli.run(*words, *form, stdin=TEXT)
            assert "gotcha" in ended.out + ended.err
            assert acting(ended.out + ended.err) == set()
    assert acting("".join(map(cli.output, (worker, node, failing)))) == set()


@pytest.mark.parametrize("style", ["console", "json"])
def test_nothing_that_is_logged_acts_on_the_terminal_or_holds_a_secret(style: logs.Format) -> None:
    out = io.StringIO()
    logs.configure(style, stream=out)
    log = structlog.get_logger("test")
    try:
        raise ValueError(f"failed{TEXT} at redis://u:geheim@host")
    except ValueError as problem:
        log.warning(f"handler failed{TEXT}", job_id=JOB, why=TEXT, at="rediss://:geheim@host/0", exc_info=problem)
    finally:
        structlog.reset_defaults()
    assert acting(out.getvalue()) == set()
    assert "geheim" not in out.getvalue()
    if style == "json":
        outcome = json.loads(out.getvalue())
        assert (outcome["why"], outcome["job_id"]) == (TEXT, JOB)


def test_every_character_that_unicode_gives_a_hidden_meaning_is_escaped_and_no_other_is_touched() -> None:
    everything = "".join(map(chr, range(0x110000)))
    kept = {"\n", "\t", "\u200c", "\u200d"} | {c for c in everything if "\u0600" <= c <= "\u08e2"}
    left = {c for c in visible(everything) if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}} - kept
    assert left == set()
    for text in ("中文 és नमस्ते", "می\u200cخواهم", "👩\u200d🚀", "a\tb\nc"):
        assert visible(text) == visible_json(text) == text


def test_json_that_is_made_printable_says_the_same() -> None:
    value = {f"{UNSEEN}k": [TEXT, "\U000e0041", "é", 1]}
    printable = visible_json(msgspec.json.encode(value).decode())
    assert json.loads(printable) == value
    assert acting(printable) == set()
