"""The event reference as a page."""

from __future__ import annotations

import re

from streamsched.contract.errors import ERRORS
from streamsched.contract.wire import EVENTS
from streamsched.engine.source import sources

from ..contract import decisions, fields, purpose
from ..outgoing import INBOX, LETTER, OUTCOME
from ..words import SENDERS, example
from .markdown import table, written_from

HEAD = """\
# Events

An event is one entry of a stream, and `XADD` appends it. Fields are flat, and every value is text: numbers in digits,
booleans as `true` or `false`, nested values as JSON in fields that end in `_json`. `type` names the event. Times are ms
since the epoch, sizes are bytes of UTF-8. Unknown fields are kept in the log and ignored. A malformed event becomes a
[dead letter](#dead-letters), which names the field and the remedy.

Events go to the log, `scheduler:{0}:events`. Heartbeats go to `scheduler:{0}:heartbeats`, which is capped. A client
that is [not trusted with the log](security.md) sends the same fields to its ingress stream.
[asyncapi.yaml](asyncapi.yaml) is this page for programs (AsyncAPI 3.0).

The examples assume a node `n1` that holds the job `j1`. `$ATTEMPT` is the token from its inbox; the job has it too:

    ATTEMPT=$(redis-cli HGET 'scheduler:{0}:job:j1' attempt)

An `XADD` without an answer may be sent again at any time. A `job_id`, an `attempt`, or a `request_id` that was chosen
before the first try lets the event count once.
"""

WHO = {
    "producer": "Producers send",
    "node": "Nodes send",
    "operator": "Operators send",
}

DECISIONS = """\
## Decisions

The scheduler appends these to the log before they take effect. From any other sender they are refused
(`FORGED_DECISION`). They are the audit trail: they say what was decided, and why.
"""

RECEIVED = """\
## What a node receives

Entries of its inbox, `scheduler:{0}:inbox:<mailbox>`. Read from the last entry that you have seen, and trim the entries
that you have read. An inbox may lose entries with its server: a job that is not started in time goes to another node.
"""

OUTCOMES = """\
## How a job ended

An entry of `scheduler:{0}:reply:<reply_to>` for each job that was submitted with `reply_to`. The stream expires an hour
after its last entry. The job, `scheduler:{0}:job:<job_id>`, has the same fields for `retention_ms`.
"""

LETTERS = """\
## Dead letters

An entry of `scheduler:{0}:dead` for each event that was refused. The fields of the event follow. `streamsched dead
list` lists dead letters, and `dead retry` appends one again.
"""


def command(kind: str) -> str:
    """Return the example as a shell takes it."""
    stream = "heartbeats" if kind == "node.heartbeat" else "events"
    return f"redis-cli XADD 'scheduler:{{0}}:{stream}' '*' type {kind} {example(kind)}"


def section(kind: str) -> str:
    """Return the section of one event."""
    rows: list[tuple[str, ...]] = []
    for field in fields(kind):
        values = f"{field.kind.words} {field.kind.unit}".rstrip()
        rows.append((f"`{field.name}`", field.words, values, "required" if field.required else field.default))
    shown = table(rows, ("field", "meaning", "values", "default"))
    return f"### {kind}\n\n{purpose(kind)}\n\n{shown}\n```console\n$ {command(kind)}\n```\n"


def received(words: dict[str, str]) -> str:
    """Return a table of fields that streamsched writes."""
    rows: list[tuple[str, ...]] = []
    for name, text in words.items():
        rows.append((f"`{name.rstrip('?')}`", text + (" Optional." if name.endswith("?") else "")))
    return table(rows, ("field", "meaning"))


def letter_codes() -> str:
    """Return the codes under which an event may be refused, with their causes."""
    used = set(
        re.findall(r"(?:refuse_event\(|\bcode = )'([A-Z_]+)'", "\n".join(source.body for source in sources().values()))
    )
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
    parts += [DECISIONS, table(rows, ("type", "fields", "meaning")), RECEIVED]
    parts += [f"### In the inbox: {kind}\n\n{received(words)}" for kind, words in INBOX.items()]
    parts += [OUTCOMES, received(OUTCOME), LETTERS, received(LETTER), letter_codes()]
    return "\n".join(parts)
