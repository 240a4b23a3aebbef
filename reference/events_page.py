"""The event reference as a page."""

from __future__ import annotations

import re

from streamsched.contract.errors import ERRORS
from streamsched.contract.wire import EVENTS
from streamsched.engine.loader import sources

from .contract import decisions, fields, purpose
from .markdown import table, written_from
from .outgoing import INBOX, LETTER, OUTCOME
from .words import SENDERS, example

HEAD = """\
# Events

Everything that anybody tells the scheduler is one entry of a stream, and `XADD` is all it takes. Fields are flat, and
every value is text: numbers in digits, booleans as `true` or `false`, nested values as JSON in fields that end in
`_json`. `type` says what it is. Moments are ms since the epoch, sizes are bytes of UTF-8. Fields beyond those named
here are kept in the log and ignored. What is wrong becomes a [dead letter](#dead-letters), which names the field and
the remedy.

Events go to the log, `scheduler:{0}:events`; beats to `scheduler:{0}:heartbeats`, which may forget. Whoever is
[not trusted with the log](security.md) sends the same to an ingress of its own.
[asyncapi.yaml](asyncapi.yaml) is this page for programs (AsyncAPI 3.0).

The examples suppose a node `n1` that holds the job `j1`. `$ATTEMPT` is the token that its inbox said; it stands with
the job, too:

    ATTEMPT=$(redis-cli HGET 'scheduler:{0}:job:j1' attempt)

An `XADD` that nobody answered may be sent again, at any time: a `job_id`, an `attempt`, or else a `request_id` made up
before the first try lets it count once.
"""

WHO = {
    "producer": "Producers send",
    "node": "Nodes send",
    "operator": "Operators send",
}

DECISIONS = """\
## Decisions

The scheduler writes these into the log, before they take effect; from anybody else they are refused
(`FORGED_DECISION`). Read them for the audit: they say what was done, and why.
"""

HEARD = """\
## What a node hears

Entries of its inbox, `scheduler:{0}:inbox:<mailbox>`; read on from the last one you have seen, and trim what you have
read. An inbox may lose entries with its server: what is not started in time goes elsewhere.
"""

OUTCOMES = """\
## How a job ended

An entry of `scheduler:{0}:reply:<reply_to>` for each job that was submitted with `reply_to`. The stream goes an hour
after its last entry; the job itself, `scheduler:{0}:job:<job_id>`, says the same for `retention_ms`.
"""

LETTERS = """\
## Dead letters

An entry of `scheduler:{0}:dead` for each event that was refused; its own fields follow. `streamsched dead list`
shows them, and `dead retry` appends one once more.
"""


def command(kind: str) -> str:
    """Return the example as a shell takes it."""
    stream = "heartbeats" if kind == "node.heartbeat" else "events"
    return f"redis-cli XADD 'scheduler:{{0}}:{stream}' '*' type {kind} {example(kind)}"


def section(kind: str) -> str:
    """Return what there is to say of one event."""
    rows: list[tuple[str, ...]] = []
    for field in fields(kind):
        values = f"{field.kind.words} {field.kind.unit}".rstrip()
        rows.append((f"`{field.name}`", field.words, values, "needed" if field.required else field.default))
    shown = table(rows, ("field", "what it says", "values", "default"))
    return f"### {kind}\n\n{purpose(kind)}\n\n{shown}\n```console\n$ {command(kind)}\n```\n"


def heard(words: dict[str, str]) -> str:
    """Return a table of fields that streamsched writes."""
    rows: list[tuple[str, ...]] = []
    for name, text in words.items():
        rows.append((f"`{name.rstrip('?')}`", text + (" Not always there." if name.endswith("?") else "")))
    return table(rows, ("field", "what it says"))


def letter_codes() -> str:
    """Return the codes under which an event may be refused, with their causes."""
    used = set(re.findall(r"(?:fail\(|\bcode = )'([A-Z_]+)'", "\n".join(source.body for source in sources().values())))
    rows: list[tuple[str, ...]] = []
    for code in ERRORS.keys() & used:
        cause = " ".join((ERRORS[code].__doc__ or "").split())
        rows.append((f"`{code}`", cause.replace("``", "`")))
    return table(sorted(rows), ("code", "cause"))


def text() -> str:
    """Return the page."""
    parts = [written_from("streamsched/contract/events.py and lua/fold") + HEAD]
    for who, kinds in SENDERS.items():
        parts.append(f"## {WHO[who]}\n")
        parts += [section(kind) for kind in EVENTS if kind in kinds]
    rows: list[tuple[str, ...]] = []
    for kind, names in decisions().items():
        rows.append((f"`{kind}`", " ".join(f"`{name}`" for name in names), purpose(kind)))
    parts += [DECISIONS, table(rows, ("type", "fields", "what it does")), HEARD]
    parts += [f"### In the inbox: {kind}\n\n{heard(words)}" for kind, words in INBOX.items()]
    parts += [OUTCOMES, heard(OUTCOME), LETTERS, heard(LETTER), letter_codes()]
    return "\n".join(parts)
