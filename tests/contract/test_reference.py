"""The event reference says what the contract and a real server say."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

import streamsched
from reference import words
from reference.files import FILES, ROOT
from reference.kinds import KINDS
from reference.pages import asyncapi, events_page, keys_page, python_page
from streamsched.contract.events import JobSubmitted, NodeDrained, NodeOffline, NodeRegistered
from streamsched.contract.keys import KEYS
from streamsched.contract.wire import EVENTS

from ..support.ledger import Ledger
from ..support.npm import NODE, node_modules

pytestmark = pytest.mark.anyio

BOUNDED = {
    "id": ("node.cordoned", "request_id"),
    "text": ("node.cordoned", "reason"),
    "lang": ("job.submitted", "src_lang"),
    "json": ("node.heartbeat", "load_json"),
    "payload": ("job.submitted", "payload_json"),
    "pools": ("node.registered", "pool_names_json"),
    "source": ("source.admitted", "source"),
    "entry": ("letter.dropped", "letter"),
    "ts": ("job.submitted", "not_before_ts"),
    "count": ("job.submitted", "max_attempts"),
    "priority": ("job.submitted", "priority"),
    "ms": ("scheduler.configured", "retry_backoff_ms"),
    "bound": ("scheduler.configured", "max_lag"),
    "percent": ("scheduler.configured", "shed_memory_percent"),
    "room": ("node.heartbeat", "room"),
    "amount": ("source.admitted", "rate"),
}
"""A field of each kind that has a bound."""
LONG: dict[str, Callable[[int], str]] = {
    "lang": lambda n: "a" * n,
    "json": lambda n: '"' + "x" * (n - 2) + '"',
    "pools": lambda n: '[{"name":"en-zh"}]'.ljust(n),
    "entry": lambda n: "1" * 20 + "-" + "1" * (n - 21),
}
"""Values of so many bytes, where not just any text will do."""


@pytest.mark.parametrize("name", FILES)
def test_the_committed_reference_is_what_the_contract_says(name: str) -> None:
    assert (ROOT / name).read_text() == FILES[name](), f"{name} is behind the contract: run python -m reference"


def test_the_parser_of_asyncapi_has_nothing_to_say_against_the_document() -> None:
    node_modules()
    command = ["node", str(NODE / "asyncapi.mjs"), str(ROOT / "docs" / "asyncapi.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def schema_of(message: str) -> dict[str, Any]:
    schema: dict[str, Any] = asyncapi.document()["components"]["messages"][message]["payload"]
    return schema


async def example(ledger: Ledger, kind: str) -> tuple[str, dict[str, str]]:
    """Make what the examples suppose, and return the stream and the fields of one of them."""
    await ledger.node()
    await ledger.submit()
    await ledger.admit("web")
    await ledger.append(NodeRegistered(node_id="n2", cap_json="{}"), NodeOffline(node_id="n2"))
    job = await ledger.job()
    command = events_page.command(kind).replace("$ATTEMPT", job["attempt"]).replace("$LETTER", "1700000000000-0")
    program, verb, stream, entry_id, *flat = shlex.split(command)
    assert (program, verb, entry_id) == ("redis-cli", "XADD", "*")
    assert stream.startswith("scheduler:{0}:")
    return stream.removeprefix("scheduler:{0}:"), dict(zip(flat[::2], flat[1::2], strict=True))


@pytest.mark.parametrize("kind", EVENTS)
async def test_every_example_of_the_reference_is_folded_as_it_stands(ledger: Ledger, kind: str) -> None:
    stream, fields = await example(ledger, kind)
    jsonschema.validate(fields, schema_of(asyncapi.identifier(kind)))
    await ledger.add(fields, stream)
    await ledger.advance()
    assert await ledger.redis.xrange(ledger.keys("dead")) == []


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.longest or kind.most])
async def test_the_bounds_in_the_reference_are_those_of_the_server(ledger: Ledger, kind: str) -> None:
    event, field = BOUNDED[kind]
    _, fields = await example(ledger, event)
    bounds = KINDS[kind]
    if bounds.longest is not None:
        long = LONG.get(kind, "x".__mul__)
        taken, refused = [long(bounds.longest)], [long(bounds.longest + 1)]
    else:
        assert bounds.least is not None
        assert bounds.most is not None
        taken, refused = [str(bounds.least), str(bounds.most)], [str(bounds.least - 1), str(bounds.most + 1)]
    for number, value in enumerate(taken + refused):
        given = fields | ({"job_id": f"new{number}"} if event == "job.submitted" else {}) | {field: value}
        code, detail = (await ledger.answer([part for pair in given.items() for part in pair]))[:2]
        assert code == ("" if value in taken else "INVALID_FIELD"), (value[:40], detail)
        assert code == "" or field in detail


async def test_what_streamsched_says_has_the_fields_that_the_reference_names(ledger: Ledger) -> None:
    await ledger.node()
    more: dict[str, Any] = {
        "reply_to": "me",
        "deadline_ts": 10**14,
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    await ledger.submit("j1", **more)
    await ledger.submit("j2")
    await ledger.answer(["type", "job.cancelled", "job_id", "j1", "reason", "no more"])
    await ledger.answer(NodeDrained(node_id="n1"))
    await ledger.answer(NodeRegistered(node_id="n1", cap_json="{}", incarnation="later"))
    await ledger.answer(JobSubmitted(job_id="j3", session_id="s", src_lang="en", tgt_lang="en", payload_json="{}"))
    heard = {f"inbox.{fields['type']}": fields for fields in reversed(await ledger.inbox())}
    heard["outcome"] = (await ledger.redis.xrange(ledger.keys.reply("me")))[0][1]
    letter = (await ledger.redis.xrange(ledger.keys("dead")))[0][1]
    jsonschema.validate(letter, schema_of("deadLetter"))
    assert heard.keys() == {
        "inbox.job.assigned",
        "inbox.job.cancelled",
        "inbox.node.drained",
        "inbox.node.superseded",
        "outcome",
    }
    for name, fields in heard.items():
        schema = schema_of(asyncapi.identifier(name))
        jsonschema.validate(fields, schema)
        assert fields.keys() == schema["properties"].keys()


def test_the_page_of_python_names_every_public_name_once_and_nothing_else() -> None:
    listed = [name for names in python_page.SECTIONS.values() for name in names]
    assert len(listed) == len(set(listed))
    assert set(listed) <= set(streamsched.__all__)
    for name in set(streamsched.__all__) - set(listed) - python_page.HIDDEN:
        assert issubclass(getattr(streamsched, name), Exception), f"{name}: add it to SECTIONS"


def test_every_key_has_a_type_a_writer_a_meaning_and_a_bound() -> None:
    for name, key in KEYS.items():
        assert key.type in {"stream", "hash", "set", "sorted set", "list"}, name
        assert key.bound.endswith("."), name
        assert set(key.writers.split(", ")) <= {"producers", "nodes", "operators", "fold", "index", "call"}, name
        assert key.meaning.endswith("."), name
        assert len(keys_page.PLACEHOLDERS.get(name, ())) == key.shape.count("%s"), name


def test_an_event_without_words_says_where_they_belong() -> None:
    with pytest.raises(LookupError, match=r"reference/words\.py"):
        words.meaning("job.submitted", "colour")
    with pytest.raises(LookupError, match=r"reference/words\.py"):
        words.sender("job.painted")
    with pytest.raises(LookupError, match=r"reference/words\.py"):
        words.example("job.painted")
