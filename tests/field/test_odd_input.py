"""No input, through any script, by any path of a client, halts a partition."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import RedisError

from streamsched.contract.errors import InvalidField, LogGap
from streamsched.contract.keys import Keys
from streamsched.contract.kinds import LIMITS
from streamsched.engine.script import script
from streamsched.engine.source import ARGUMENTS, entries, sources
from streamsched.server.embedded import EmbeddedServer

from ..conftest import namespaces
from ..contract.test_bad_input import GOOD
from ..support.ledger import Ledger

THOUSANDS = ["type", "node.heartbeat", "node_id", "n1", "online", "true", *(f"{n}" for n in range(9_994))]
BEAT = ["type", "node.heartbeat", "online", "true"]
ODD = ["type", "job.cancelled", "job_id"]
HUGE = ["type", "job.cancelled", "job_id", "j1", "reason", "x" * (LIMITS["event"] + 1)]

names = st.sampled_from([name for fields in GOOD.values() for name in fields])
text = st.one_of(st.sampled_from(["", "n1", "j1", "s1", "true", "zh", "en", "{}", "1-1", "0", "-1", "nan"]), st.text())
scalar: st.SearchStrategy[Any] = st.one_of(
    text, st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False)
)
value = st.recursive(scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3))
field = st.one_of(names, st.sampled_from(["type", "v", "source", "source_id", "retry_of", "request_id", "id"]), text)


@st.composite
def changed(draw: st.DrawFn) -> list[Any]:
    """A good event with something done to it."""
    kind = draw(st.sampled_from(sorted(GOOD)))
    flat: list[Any] = ["type", kind, *(part for pair in GOOD[kind].items() for part in pair)]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(flat)))
        flat[at : at + draw(st.integers(0, 2))] = draw(st.lists(st.one_of(field, value), max_size=2))
    return flat


flat = st.one_of(
    changed(),
    st.lists(text, max_size=12),
    value,
    st.sampled_from([THOUSANDS, BEAT, ODD, HUGE, ["type"], [], ["type", None], {"type": "job.cancelled"}]),
)
own = st.one_of(
    st.lists(flat, max_size=4).map(json.dumps),
    value.map(json.dumps),
    text,
    st.sampled_from(["[" * 2000, "{}", "[[]]", "null", '[["type","\\ud800"]]', json.dumps([ODD[:2]] * 1500)]),
)
odd_texts = [
    b"",
    b"0",
    b"-1",
    b"1e3",
    b"nan",
    b"x",
    b"1-1",
    b"0-0",
    b"99999999999999999999",
    b"\xff\x00",
    b"{}",
    b"1 1",
]
argument = st.one_of(st.sampled_from(odd_texts), st.binary(max_size=20), st.just(b"x" * 100_000))
raw = st.one_of(
    st.lists(st.tuples(st.one_of(field.map(str.encode), st.binary(max_size=8)), st.binary(max_size=300)), min_size=1),
    changed().map(
        lambda flat: [(str(a).encode(), str(b).encode()) for a, b in zip(flat[::2], flat[1::2], strict=False)]
    ),
    st.just([(str(n).encode(), b"x") for n in range(5_000)]),
    st.just([(b"type", b"node.heartbeat"), *((str(n).encode(), b"x") for n in range(5_000))]),
)


@contextmanager
def accepted_or_refused() -> Iterator[None]:
    """Let a command be refused, which is as good as taken, but not halt the partition."""
    try:
        yield
    except RedisError as problem:
        if str(problem).startswith("HALTED"):
            raise


class Sender:
    """A client with a connection of its own, which leaves bytes alone."""

    def __init__(self, redis: Any, keys: Keys) -> None:
        self.redis, self.keys = redis, keys

    async def send(self, *command: Any) -> None:
        with accepted_or_refused():
            await self.redis.execute_command(*command)

    async def call(self, name: str, given: dict[str, Any]) -> None:
        """Call a script as :meth:`try_call` does; it may be refused, but not halt the partition."""
        with accepted_or_refused():
            await self.try_call(name, given)

    async def try_call(self, name: str, given: dict[str, Any]) -> None:
        """Call a script with these arguments; those that are not given are good ones."""
        known = {name: self.keys(name) for name in ("events", "heartbeats", "dead", "nodes")}
        good = {
            "prefix": self.keys.prefix,
            "batch": 5,
            "nonce": "5eed",
            "own": "[]",
            "speakers": "web gpu",
            "ids": "[]",
        }
        good |= {
            "cursor": "1",
            "at_will": "0",
            "in_place": "0",
            "ends": "0",
            "archived": "0-0" if name.startswith("trim") else "0",
            "known_log": "0-0",
            "began": "1-1",
            "replace": "0",
            "archive": "a",
            "archiver": "a",
            "takes_over": "0",
            "keep": "0",
        }
        good |= {"last": "0-0", "count": "1", "first": "1-1", "head": "0", "reached": "0", "after": "0-0"}
        good |= {"entries": msgpack.packb([]), "page": msgpack.packb([]), "number": "0"}
        run = script(name)
        chosen = {word: given.get(word, (known | good)[word]) for word in (*run.keys, *run.argv)}
        await self.redis.execute_command("EVAL_RO" if run.reads else "EVAL", run.text, *run.arguments(**chosen))

    async def add(self, stream: str, pairs: list[tuple[bytes, bytes]]) -> None:
        await self.send("XADD", stream, "*", *(part for pair in pairs for part in pair))


def around(server: EmbeddedServer, ahead: int, attack: Callable[[Sender], Coroutine[Any, Any, None]]) -> None:
    """Give a client a partition with so many unfolded events; afterwards it must work as before."""

    async def play() -> None:
        keys = Keys(next(namespaces))
        redis: Any = Redis.from_url(server.url, decode_responses=True, protocol=2, encoding_errors="surrogateescape")
        bytewise: Any = Redis.from_url(server.url, protocol=2)
        ledger = Ledger(redis, keys)
        try:
            await ledger.node()
            await ledger.admit("web")
            await ledger.admit("gpu", "n1")
            await ledger.submit()
            for _ in range(ahead):
                await ledger.add({"type": "node.cordoned", "node_id": "n2"})
            await attack(Sender(bytewise, keys))
            await ledger.take_in("web", "gpu", batch=7)
            meta = await ledger.hash("meta")
            assert "halted" not in meta
            assert meta["begin"] == meta["done"]
            assert (await ledger.submit("good", src="xx", tgt="yy"))["status"] == "created"
            await ledger.check_refold()
        finally:
            await redis.flushdb()
            await redis.aclose()
            await bytewise.aclose()

    asyncio.run(play())


odd = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)


@odd
@given(own=own, ahead=st.sampled_from([0, 12]), name=st.sampled_from(["append", "append_batch"]))
@example(own=json.dumps([BEAT]), ahead=12, name="append")
@example(own=json.dumps([THOUSANDS]), ahead=0, name="append")
@example(own=json.dumps([THOUSANDS]), ahead=12, name="append")
@example(own=json.dumps([ODD]), ahead=0, name="append")
@example(own=json.dumps([["type", "job.cancelled", "job_id", 5]]), ahead=0, name="append")
@example(own=json.dumps([["type", ["x"]]]), ahead=0, name="append_batch")
def test_no_event_that_a_caller_hands_to_a_script_halts_a_partition(
    server: EmbeddedServer, own: str, ahead: int, name: str
) -> None:
    async def attack(sender: Sender) -> None:
        await sender.call(name, {"own": own.encode(errors="surrogatepass")})

    around(server, ahead, attack)


@odd
@given(pairs=raw, stream=st.sampled_from(["events", "heartbeats", "web", "gpu"]), ahead=st.sampled_from([0, 12]))
@example(pairs=[(b"type", b"job.dispatched"), (b"source", b"web"), (b"source_id", b"1-1")], stream="events", ahead=0)
def test_no_entry_of_a_stream_halts_a_partition(
    server: EmbeddedServer, pairs: list[tuple[bytes, bytes]], stream: str, ahead: int
) -> None:
    async def attack(sender: Sender) -> None:
        key = sender.keys("ingress", stream) if stream in ("web", "gpu") else sender.keys(stream)
        await sender.add(key, pairs)
        await sender.call("ingest", {})

    around(server, ahead, attack)


@odd
@given(data=st.data(), name=st.sampled_from(entries()), ahead=st.sampled_from([0, 12]))
def test_no_argument_of_a_script_halts_a_partition(
    server: EmbeddedServer, data: st.DataObject, name: str, ahead: int
) -> None:
    # to name a log that the server does not hold is to say that it was lost, which stops the partition
    words = [word for word in script(name).argv if word not in ("prefix", "known_log")]
    packed = value.map(lambda it: msgpack.packb(it, use_bin_type=False))
    odd = st.one_of(argument, packed).filter(lambda it: it != b"1" or name != "begin_rebuild")  # which is no odd one
    given = {word: data.draw(odd, label=word) for word in words if data.draw(st.booleans())}

    async def attack(sender: Sender) -> None:
        await sender.call(name, given)

    around(server, ahead, attack)


@pytest.mark.parametrize("name", entries())
def test_a_call_with_too_few_arguments_or_keys_is_refused(server: EmbeddedServer, name: str) -> None:
    async def attack(sender: Sender) -> None:
        run, prefix = script(name), sender.keys.prefix
        eval_ = "EVAL_RO" if run.reads else "EVAL"
        whole = [len(run.keys), *[prefix + "events"] * len(run.keys), *[prefix] * len(run.argv)]
        for words in ([0], [1, prefix + "events"], whole[:-1]):
            with pytest.raises(RedisError, match=f"INVALID_FIELD {name} takes {len(run.keys)} keys"):
                await sender.redis.execute_command(eval_, run.text, *words)

    around(server, 0, attack)


@pytest.mark.parametrize(
    ("flat", "said"),
    [
        (ODD, "the event has 3 parts, a field without a value"),
        ([], "the event is no list, or an empty one"),
        ({"type": "x"}, "the event is no list, or an empty one"),
        ("type", "the event is no list, or an empty one"),
        (["type", "job.cancelled", "job_id", 5], "job_id is no text: encode it as text"),
        (["type", "job.cancelled", "job_id", None], "job_id is no text"),
        (["type", "job.cancelled", "job_id", ["j1"]], "job_id is no text"),
        (["type", "job.cancelled", {}, "j1"], "the name of field 2 is no text"),
        (["job_id", "j1"], "type is missing at the front"),
        (THOUSANDS, "the event has 5000 fields: give at most 128"),
        (HUGE, "keep it within 2097152"),
    ],
)
@pytest.mark.parametrize("ahead", [0, 12])
def test_an_event_that_is_none_is_refused_alone_and_leaves_nothing_in_the_log(
    server: EmbeddedServer, flat: Any, said: str, ahead: int
) -> None:
    async def attack(sender: Sender) -> None:
        redis: Any = Redis.from_url(server.url, decode_responses=True, protocol=2)
        ledger = Ledger(redis, sender.keys)
        before = await redis.xlen(sender.keys("events"))
        good = ["type", "node.heartbeat", "node_id", "n1", "online", "true"]
        answers = await ledger.append(good, flat, good, batch=5)
        if ahead:
            assert [str(answer[0]) for answer in answers] == ["1", "2", "3"]
            answers = [answer[1:] for answer in answers]
        assert [answer[0] for answer in answers] == ["", "INVALID_FIELD", ""]
        assert said in answers[1][1]
        assert await redis.xlen(sender.keys("events")) == before
        with pytest.raises(InvalidField, match=r"event 2 of the batch: .*nothing was appended"):
            await script("append_batch")(
                redis, events=sender.keys("events"), prefix=sender.keys.prefix, own=json.dumps([good, flat])
            )
        assert await redis.xlen(sender.keys("events")) == before
        await redis.aclose()

    around(server, ahead, attack)


def test_a_foreign_key_in_the_place_of_an_inbox_or_a_reply_stream_halts_nothing(server: EmbeddedServer) -> None:
    async def attack(sender: Sender) -> None:
        for name in ("inbox:n1", "reply:me", "reply:web/me"):
            await sender.send("SET", sender.keys.prefix + name, "mine")
        submission = ["type", "job.submitted", *(part for pair in GOOD["job.submitted"].items() for part in pair)]
        await sender.call("append", {"own": json.dumps([[*submission, "reply_to", "me"]])})
        await sender.call("append", {"own": json.dumps([["type", "job.cancelled", "job_id", "j9"]])})
        refused = [
            (b"type", b"job.submitted"),
            (b"job_id", b"web/j"),
            (b"reply_to", b"web/me"),
            (b"session_id", b"web/s"),
        ]
        await sender.add(sender.keys("ingress", "web"), refused)
        await sender.call("ingest", {})

    around(server, 0, attack)


def test_a_log_that_ends_beyond_any_clock_stops_with_a_word_and_is_not_torn(server: EmbeddedServer) -> None:
    async def play() -> None:
        redis: Any = Redis.from_url(server.url, decode_responses=True, protocol=2)
        ledger = Ledger(redis, Keys(next(namespaces)))
        await ledger.node()
        await redis.xadd(ledger.keys("events"), {"type": "x"}, id=f"{2**64 - 1}-{2**64 - 2}")
        for _ in range(2):
            with pytest.raises(LogGap, match="beyond any clock"):
                await ledger.advance()
            meta = await ledger.hash("meta")
            assert meta["begin"] == meta["done"]
        await redis.flushdb()
        await redis.aclose()

    asyncio.run(play())


def test_a_log_whose_last_id_has_the_highest_sequence_goes_on(server: EmbeddedServer) -> None:
    async def attack(sender: Sender) -> None:
        far = int((await sender.redis.time())[0]) * 1000 + 3_600_000
        await sender.send("XADD", sender.keys("events"), f"{far}-{2**64 - 1}", "type", "x")

    around(server, 0, attack)


KINDS_OF_ARGUMENTS = [(name, word, kind) for name in entries() for word, kind in sources()[name].kinds.items()]


@pytest.mark.parametrize(("name", "word", "kind"), KINDS_OF_ARGUMENTS)
def test_an_argument_that_is_not_of_its_kind_is_refused_before_anything_is_written(
    server: EmbeddedServer, name: str, word: str, kind: str
) -> None:
    async def attack(sender: Sender) -> None:
        more = {"count": [b"0", b"1.5", b"-1"], "number": [b"-1"], "flag": [b"2"]}
        for odd in (b"", b"x y", b"1" * 100, *more.get(kind, ())):
            with pytest.raises(RedisError, match=f"INVALID_FIELD {word}: give {ARGUMENTS[kind][2]}"):
                await sender.try_call(name, {word: odd})

    around(server, 0, attack)


@pytest.mark.parametrize(
    "entry",
    [
        ["1-1", False],
        ["1-1", False, "x"],
        ["1-1", False, ["type"]],
        ["1-1", False, ["type", ["x"]]],
        ["1-1", False, ["type", None]],
        ["x", False, ["type", "x"]],
        [5, False, ["type", "x"]],
        "1-1",
    ],
)
def test_a_page_of_entries_with_one_that_is_none_is_refused_whole(server: EmbeddedServer, entry: Any) -> None:
    async def attack(sender: Sender) -> None:
        page = msgpack.packb(
            [["1-0", False, ["type", "session.released", "session_id", "s"]], entry], use_bin_type=False
        )
        scratch = Sender(sender.redis, Keys(sender.keys.namespace + "-scratch"))
        for one, name in ((scratch, "replay_entries"), (sender, "find_divergence")):
            with pytest.raises(RedisError, match="INVALID_FIELD entries is no list of entries"):
                await one.try_call(name, {"entries": page})
        assert not await sender.redis.exists(scratch.keys("meta"))

    around(server, 0, attack)


def test_neither_a_replay_nor_a_snapshot_goes_into_a_live_partition(server: EmbeddedServer) -> None:
    async def attack(sender: Sender) -> None:
        torn = msgpack.packb([["meta", "hash", 0, ["begin", "torn"]]], use_bin_type=False)
        for name, page in (("load_snapshot", {"page": torn}), ("replay", {}), ("replay_entries", {})):
            with pytest.raises(RedisError, match="SCRATCH_IS_LIVE the keys under"):
                await sender.try_call(name, page)

    around(server, 12, attack)
