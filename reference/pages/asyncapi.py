"""The AsyncAPI 3.0 document: what a client of the scheduler sends to which stream, and what it hears on which."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from streamsched import __version__
from streamsched.contract.keys import DEFAULT_NAMESPACE, SHAPES
from streamsched.contract.wire import EVENTS

from ..contract import decisions, fields, purpose
from ..outgoing import INBOX, LETTER, OUTCOME
from ..words import SENDERS, sender

INTRODUCTION = """\
streamsched schedules jobs over a fleet of nodes by events on Redis Streams. A message is one entry of a stream, each \
property of its payload one field of it, and every value is text: numbers in digits, booleans as true or false, \
nested values as JSON. An event that cannot be folded becomes a dead letter, which names the field and the remedy."""

PARAMETERS: dict[str, dict[str, str]] = {
    "namespace": {"default": DEFAULT_NAMESPACE, "description": "The namespace of the scheduler's keys."},
    "partition": {"default": "{0}", "description": "The partition's number in braces: a hash tag, part of the key."},
    "source": {"description": "The name of the source."},
    "mailbox": {"description": "The id of the node, or the mailbox that it registered with."},
    "client": {"description": "The reply_to of the submission."},
}

STREAMS: dict[str, tuple[str, str, str]] = {
    "log": ("events", "", "The log: every fact, in the order in which it counts."),
    "heartbeats": ("heartbeats", "", "Heartbeats, capped at about 100 000; not part of the log."),
    "ingress": ("ingress", "source", "Events from a source that may not append to the log."),
    "inbox": ("inbox", "mailbox", "Assignments for the nodes of a mailbox."),
    "outcomes": ("reply", "client", "How the jobs of one client ended; expires an hour after the last one."),
    "deadLetters": ("dead", "", "Refused events, with the reason."),
}
"""``channel: (name in keys.py, parameter, description)``."""


def identifier(kind: str) -> str:
    """Return a type's name in camel case: ``jobSubmitted``."""
    first, *rest = kind.split(".")
    return first + "".join(word.title() for word in rest)


def message(kind: str, summary: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """Return a message whose payload has these fields."""
    schema = {"type": "object", "required": required, "properties": properties}
    return {"name": kind, "summary": summary, "payload": schema}


def event(kind: str) -> dict[str, Any]:
    """Return the message of an event that may be sent."""
    known: dict[str, Any] = {"type": {"const": kind}}
    for field in fields(kind):
        known[field.name] = field.kind.schema | {"description": field.words}
        if field.default and not field.default.startswith("`"):
            known[field.name]["default"] = field.default
    made = message(kind, purpose(kind), known, ["type", *(f.name for f in fields(kind) if f.required)])
    made["payload"]["description"] = "Fields beyond these are kept in the log and ignored."
    return made | {"tags": [{"name": sender(kind)}]}


def decision(kind: str, names: list[str]) -> dict[str, Any]:
    """Return the message of a decision; its fields are all optional."""
    text = {"type": "string"}
    return message(kind, purpose(kind), {"type": {"const": kind}, **dict.fromkeys(names, text)}, ["type"])


def outgoing(kind: str, summary: str, words: dict[str, str], typed: bool = False) -> dict[str, Any]:
    """Return a message to a client; ``?`` marks an optional field."""
    known: dict[str, Any] = {"type": {"const": kind}} if typed else {}
    known |= {name.rstrip("?"): {"type": "string", "description": text} for name, text in words.items()}
    always = [name for name in words if not name.endswith("?")]
    return message(kind, summary, known, [*(["type"] if typed else []), *always])


def messages() -> dict[str, dict[str, Any]]:
    """Return every message, by its identifier."""
    known = {identifier(kind): event(kind) for kind in EVENTS}
    known |= {identifier(kind): decision(kind, names) for kind, names in decisions().items()}
    known |= {
        identifier(f"inbox.{kind}"): outgoing(kind, "To a node.", words, typed=True) for kind, words in INBOX.items()
    }
    known["outcome"] = outgoing("outcome", "How a job ended.", OUTCOME)
    known["deadLetter"] = outgoing("dead letter", "An event that was refused; its fields follow.", LETTER)
    return known


def channel(name: str, carried: Iterable[str]) -> dict[str, Any]:
    """Return a channel that carries these messages."""
    shape, parameter, words = STREAMS[name]
    address = "{namespace}:{partition}:" + SHAPES[shape].replace("%s", "{" + parameter + "}")
    named = ["namespace", "partition", *([parameter] if parameter else [])]
    return {
        "address": address,
        "description": words,
        "parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in named},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in carried},
    }


def operation(action: str, channel: str, summary: str, carried: Iterable[str]) -> dict[str, Any]:
    """Return an operation of a client on a channel."""
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in carried],
    }


def document() -> dict[str, Any]:
    """Return the whole document."""
    known = messages()
    sent = {who: [identifier(kind) for kind in EVENTS if kind in kinds] for who, kinds in SENDERS.items()}
    log = [identifier(kind) for kind in [*EVENTS, *decisions()]]
    inbox = [name for name in known if name.startswith("inbox")]
    carried = {
        "log": log,
        "heartbeats": ["nodeHeartbeat"],
        "ingress": sent["producer"] + sent["node"],
        "inbox": inbox,
        "outcomes": ["outcome"],
        "deadLetters": ["deadLetter"],
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "streamsched", "version": __version__, "description": INTRODUCTION},
        "defaultContentType": "application/json",
        "servers": {"development": {"host": "localhost:6379", "protocol": "redis"}},
        "channels": {name: channel(name, names) for name, names in carried.items()},
        "operations": {
            "produce": operation("send", "log", "Producers append with XADD.", sent["producer"]),
            "work": operation("send", "log", "Nodes append.", sent["node"]),
            "operate": operation("send", "log", "Operators append.", sent["operator"]),
            "beat": operation("send", "heartbeats", "A node sends heartbeats.", carried["heartbeats"]),
            "speakThroughIngress": operation("send", "ingress", "A source sends events.", carried["ingress"]),
            "takeAssignments": operation("receive", "inbox", "A node reads its inbox with XREAD.", inbox),
            "hearOutcomes": operation(
                "receive", "outcomes", "A client reads the outcomes of jobs submitted with reply_to.", ["outcome"]
            ),
            "readLog": operation("receive", "log", "The log, with decisions.", log),
            "readDeadLetters": operation("receive", "deadLetters", "What was refused.", ["deadLetter"]),
        },
        "components": {"messages": known, "parameters": PARAMETERS},
    }


class Plain(yaml.SafeDumper):
    """Writes a repeated value out instead of an alias, which would not help a reader."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def text() -> str:
    """Return the document as YAML."""
    head = "# Written by `python -m reference` from streamsched/contract/events.py: change that, not this file.\n"
    return head + yaml.dump(document(), Dumper=Plain, sort_keys=False, allow_unicode=True, width=120)
