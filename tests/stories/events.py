"""Strategies for events: good events of every type, and each of them with something wrong."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from streamsched.contract.wire import EVENTS, field_kinds
from streamsched.engine.source import facts

from . import odd

Fields = list[tuple[str, str]]

NODES = ["n1", "n2", "n3", "n4"]
FORGED = ("forged", "yes")
JOBS = [*(f"@job{n}" for n in range(12)), "j0"]
"""``@job3`` becomes, when the story is played, the last job but three, ``@new`` an unknown one."""
SESSIONS = ["s1", "s2", "s3"]
LANGS = ["en", "zh", "de", "zh-Hant"]
SOURCES, TARGETS = [*["zh"] * 8, "de", "zh-Hant", "en"], [*["en"] * 8, "de", "fr"]
POOLS = [
    '[{"id":1,"name":"en-zh"}]',
    '[{"id":1,"name":"en-zh"}]',
    '[{"name":"en-zh"},{"name":"de-en"}]',
    '[{"name":"en-zh"},{"name":"de-en"}]',
    '[{"id":"B","name":"de-en-zh"},{"id":"a","name":"en-zh"},{"id":2,"name":"de-en"}]',
    '[{"id":1,"name":"de-zh"}]',
    '[{"id":"a.x","name":"en-zh"}]',
    '[{"id":7,"name":"zh-Hant-en","languages":["zh-Hant","en"]}]',
    '[{"id":7,"name":"zh-Hant-en-de","languages":["zh-Hant","en","de"]},{"id":1,"name":"en-zh"}]',
    "[]",
]
ATTEMPTS = ["@now", "@now", "@now", "@old", "@other", "1-1-none"]
"""``@now``, ``@old`` and ``@other`` become a token when the story is played: of the job, its past, another job."""

LETTERS = ["1-1", "2-1", "18446744073709551615-18446744073709551615"]
EXTRAS: list[Fields] = [
    *([("retry_of", letter)] for letter in LETTERS),
    *([("source", source), ("source_id", stamp)] for source in ("a", "b") for stamp in ("1-1", "2-0", "02-0", "x")),
    [("source", "a")],
    [("source_id", "9-9")],
    [("colour", "red")],
]
"""What an event of any type may hold beside its fields."""

GOOD: dict[str, list[str]] = {
    "node_id": NODES,
    "job_id": JOBS,
    "session_id": SESSIONS,
    "cap_json": ["{}", '{"services":["ASR"]}'],
    "pool_names_json": POOLS,
    "mailbox": ["gateway", "n1"],
    "online": ["true", "true", "true", "false"],
    "load_json": ["[0.5]", "1"],
    "accepting": ["true", "false"],
    "trouble": ["the inbox cannot be read", "嗯"],
    "reason": ["full", "full", "hot", "嗯"],
    "src_lang": SOURCES,
    "tgt_lang": TARGETS,
    "payload_json": ["{}", "[]", "not JSON at all"],
    "priority": ["0", "5", "-1", "100", "-100", "007"],
    "deadline_ts": ["+1", "+4000", "+60000", "+60000"],
    "not_before_ts": ["+0", "+1", "+1000", "+5000"],
    "max_attempts": ["1", "2", "5"],
    "fold_version": ["1", "2"],
    "affinity": ["prefer", "none"],
    "reply_to": ["me", "you"],
    "traceparent": ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
    "immediate": ["true", "false"],
    "deliver": ["true", "false"],
    "carries": ["1-0"],
    "attempt": ATTEMPTS,
    "progress_json": ['{"done":0.5}', "1"],
    "status": ["finished", "failed"],
    "result_json": ['{"text":"嗯"}', "x"],
    "error": ["out of memory", "é"],
    "heartbeat_timeout_ms": ["2000", "12000"],
    "accept_timeout_ms": ["0", "700", "10000"],
    "job_timeout_ms": ["0", "3000"],
    "retry_backoff_ms": ["0", "100", "500"],
    "retention_ms": ["0", "1000", "20000", "3600000"],
    "node_retention_ms": ["0", "1", "3000", "86400000"],
    "policy": ["expected_finish", "two_choices", "random"],
    "max_waiting": ["4", "11", "21"],
    "max_lag": ["3", "100000"],
    "max_letters": ["1", "100000"],
    "max_letters_bytes": ["1", "1000000"],
    "shed_memory_percent": ["90"],
    "begun": ["true", "false"],
    "room": ["0", "1", "2", "4", "300"],
    "incarnation": ["i1", "i1", "i1", "i2"],
    "ran_ms": ["0", "7", "86400000"],
    "request_id": ["r1", "r2", "r3", "嗯"],
    "pool_id": ["1", "1", "en-zh", "de-en", "a"],
    "letter": LETTERS,
    "source": ["a", "b", "c"],
    "cancel": ["true", "false"],
    "pools": ["*", "1,en-zh", "7", "a b"],
    "max_age_ms": ["1", "1500", "30000"],
    "role": ["producer", "node"],
    "rate": ["1", "1000"],
    "size": ["100", "1000000"],
    "backlog": ["1", "100"],
    "jobs": ["1", "100"],
    "bytes": ["8", "100000"],
}
"""Values of each field; ``+n`` becomes the moment n ms from when it is said."""

OFTEN = {
    "job_id": 9,
    "pool_names_json": 9,
    "attempt": 9,
    "accepting": 5,
    "reason": 5,
    "max_attempts": 4,
    "not_before_ts": 2,
    "deadline_ts": 2,
    "deliver": 3,
    "ran_ms": 5,
    "begun": 5,
    "room": 3,
    "incarnation": 4,
    "request_id": 3,
}
"""How often of ten an optional field is there; the others once, those of the configuration five times."""

randoms = st.binary(min_size=16, max_size=16).map(random.Random)
"""Chance for what is to be drawn evenly: hypothesis leans towards what is small and alike."""


def good_event(chance: random.Random, kind: str) -> Fields:
    """Make an event as its contract wants it."""
    fields = [("type", kind)]
    for stated in field_kinds(EVENTS[kind]):
        name = stated.rstrip("?")
        often = 5 if kind == "scheduler.configured" else OFTEN.get(name, 1)
        if name == stated or chance.randrange(10) < often:
            new = name == "job_id" and kind == "job.submitted" and chance.randrange(10) < 9
            fields.append((name, "@new" if new else chance.choice(GOOD[name])))
    if chance.randrange(10) == 0:
        fields += chance.choice(EXTRAS)
    return fields


@st.composite
def bad_events(draw: st.DrawFn) -> Fields:
    """A good event with one thing changed, which may leave it good."""
    chance = draw(randoms)
    kind = chance.choice(sorted(EVENTS))
    fields = good_event(chance, kind)
    kinds = {name.rstrip("?"): shape for name, shape in field_kinds(EVENTS[kind]).items()}
    change = chance.choice(["odd", "odd", "odd", "missing", "twice", "extra", "version", "type", "swapped"])
    name = chance.choice(sorted(kinds))
    if change == "missing":
        return [field for field in fields if field[0] != name]
    if change == "odd":
        return [field for field in fields if field[0] != name] + [
            (name, draw(odd.OF_KIND.get(kinds[name], odd.text) | odd.text))
        ]
    if change == "twice":
        other = (name, draw(odd.OF_KIND.get(kinds[name], odd.text) | odd.text))
        return [*fields, other] if chance.random() < 0.5 else [other, *fields]
    if change == "extra":
        return [*fields, (draw(st.sampled_from(["retry_of", "source", "source_id"]) | odd.text), draw(odd.text))]
    if change == "version":
        return [*fields, ("v", chance.choice(["1", "2", "0", "01", "", "99", "100", "1.0", "x"]))]
    if change == "type":
        return [("type", draw(st.sampled_from(["job.exploded", "", "JOB.STARTED"]) | odd.text)), *fields[1:]]
    return fields[1:] + fields[:1]


@st.composite
def odd_fields(draw: st.DrawFn) -> Fields:
    """A good event, one field of which holds something odd of its own kind."""
    chance = draw(randoms)
    kind = chance.choice([*EVENTS, *["node.registered"] * 6])
    kinds = {name.rstrip("?"): shape for name, shape in field_kinds(EVENTS[kind]).items()}
    name = chance.choice([*kinds, *["pool_names_json"] * 3 * ("pool_names_json" in kinds)])
    value = draw(odd.OF_KIND.get(kinds[name], odd.text))
    return [field for field in good_event(chance, kind) if field[0] != name] + [(name, value)]


def forged_event(chance: random.Random) -> Fields:
    """Make a decision that only the scheduler may write, as plausible as can be; a field says so, for the model."""
    kind = chance.choice(sorted(facts()))
    plausible = {"pool_id": "1", "nonce": "5eed", "cause": "node lost", "until_ts": "+1000", "code": "EMPTY_POOL"}
    known = {"job_id", "node_id", "online", "accepting"}
    fields = [
        (name, chance.choice(GOOD[name]) if name in known else plausible.get(name, "1")) for name in facts()[kind]
    ]
    return [("type", kind), *fields, FORGED]


def any_event(chance: random.Random, bad: list[Fields]) -> Fields:
    """Make any event that may be appended, good more often than not; ``bad`` is what it may be otherwise."""
    dice = chance.randrange(10)
    if dice == 0:
        return forged_event(chance)
    if dice < 4 and bad:
        return chance.choice(bad)
    return good_event(chance, chance.choice([*EVENTS, "job.submitted", "job.submitted", "node.registered"]))
