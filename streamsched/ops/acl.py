"""The ACL rules of each role: the least rights that it needs on the server.

The commands of a script are read from its text: a script runs with the rights of its caller.
"""

from __future__ import annotations

import hashlib
import re

from ..contract.errors import ERRORS
from ..contract.keys import Keys
from ..engine.script import script
from ..engine.source import sources

OPTIONS = {"CH", "COUNT", "LIMIT", "MATCH", "MAXLEN", "MINID", "MKSTREAM", "STREAMS", "WITHSCORES"}
OPTIONS |= {"INFO"}  # a script works without it if the right is missing
OPTIONS |= {"ENTRIESADDED", "ENTRIESREAD", "MAXDELETEDID", "AGAIN", "OK"}
"""Words in capitals in the scripts that are not commands."""

CONTAINERS = ("MEMORY", "XGROUP", "XINFO")
"""Commands of which only the used subcommands are permitted."""

READING = (
    "exec exists get hexists hget hgetall hlen hmget info llen lrange multi scan scard sismember smembers smismember "
    "srandmember sscan time type xinfo|consumers xinfo|groups xinfo|stream xlen xrange xread xrevrange zcard zrange "
    "zrank zscore"
)

WHERE = "cluster|slots"
"""Asks a server of a cluster which server holds a partition."""

SCRIPTS = {
    "producer": ("append", "advance", "append_batch", "try_rights"),
    "node": ("append", "try_rights"),
    "worker": ("advance", "drop_letters", "drop_state", "replay", "ingest", "try_rights"),
    "archiver": ("trim_log", "trim_dead_letters"),
    "auditor": ("read_nodes",),
    "operator": None,
}
"""The scripts that a role runs; ``None`` for all scripts."""

DIRECT = {
    "producer": "exec hmget multi time xinfo|stream xrange xread xrevrange",
    "node": "exec hmget multi smembers xinfo|stream xrange xread xrevrange xtrim",
    "worker": "exec exists hmget hset info multi smembers type xgroup|create xgroup|delconsumer "
    "xinfo|consumers xinfo|stream xrange xread xreadgroup",
    "archiver": "exec exists hget hmget info multi xinfo|stream xlen xrange",
    "auditor": READING,
}
"""Commands that a role calls outside the scripts."""

DIRECT["operator"] = " ".join(DIRECT.values()) + " hincrby hsetnx rename"

WHOLE = "~{prefix}*"
KEYS = {
    "producer": WHOLE,
    "node": WHOLE,
    "worker": WHOLE,
    "archiver": "~{prefix}events ~{prefix}dead ~{prefix}dead:codes ~{prefix}dead:others ~{prefix}meta %R~{prefix}job:*",
    "auditor": "%R~{prefix}*",
    "operator": WHOLE,
}
"""The keys of a role. A caller of ``append`` or ``advance`` folds, and so writes all of the state."""

ROLES = tuple(KEYS)

APART: dict[str, dict[str, tuple[str, ...]]] = {
    "producer": {"xtrim": ("heartbeats",)},
    "node": {"xtrim": ("heartbeats", "inbox:*")},
    "worker": {"xtrim": ("heartbeats", "in:*"), "rename": ("dead", "dead:ordered")},
    "operator": {"rename": ("dead", "dead:ordered")},
}
"""Commands that a role may call on some of its keys only: folded heartbeats and read entries may go, the log never."""

OF_SOURCES = {
    "producer": (
        "%W~{prefix}in:{source} +xadd +time (%R~{prefix}reply:{source}/* +xread +xrevrange +xinfo|stream) "
        "(%R~{prefix}job:{source}/* %R~{prefix}meta %R~{prefix}source:{source} +hmget)"
    ),
    "node": (
        "%W~{prefix}in:{source} +xadd (~{prefix}inbox:{node} +xread +xrevrange +xtrim +xinfo|stream) "
        "(%R~{prefix}node:jobs:{node} +smembers) (%R~{prefix}node:info:{node} +exists) (%R~{prefix}meta +hmget)"
    ),
}
"""The rights of a source: to add to its ingress, and to read the streams addressed to it."""


def rules(role: str, keys: Keys, database: int = 0, cluster: bool = False) -> list[str]:
    """Return the rules of a role, as ``ACL SETUSER`` takes them after the user's name; without a password.

    Args:
        role: one of :data:`ROLES`.
        keys: the partition.
        database: the database of the partition; 0 by default.
        cluster: also the command that finds the partition in a cluster; off by default.
    """
    commands = set(DIRECT[role].split())
    entries = SCRIPTS[role]
    for name in _entries() if entries is None else entries:
        run = {"eval_ro", "evalsha_ro"} if script(name).reads else {"eval", "evalsha"}
        commands |= run | commands_of(script(name).text)
    if database:
        commands.add("select")
    if cluster:
        commands.add(WHERE)
    apart = APART.get(role, {})
    selectors: list[str] = []
    for name, names in apart.items():
        selectors += [f"(~{keys.prefix}{names[0]}", *(f"~{keys.prefix}{key}" for key in names[1:]), f"+{name})"]
    allowed = KEYS[role].format(prefix=keys.prefix).split()
    return ["reset", "on", *allowed, "-@all", *(f"+{command}" for command in sorted(commands - set(apart))), *selectors]


def source_rules(
    role: str, keys: Keys, source: str, node: str = "", database: int = 0, cluster: bool = False
) -> list[str]:
    """Return the rules of a source, in the form of :func:`rules`.

    Args:
        role: ``producer`` or ``node``.
        keys: the partition.
        source: the name of the source.
        node: the node, if the role is ``node``.
        database, cluster: see :func:`rules`.
    """
    plain = re.sub(r"([*?\[\]\\])", r"\\\1", node)  # escape it: a name, not a pattern
    allowed = OF_SOURCES[role].format(prefix=keys.prefix, source=source, node=plain).split()
    first = [f"+{command}" for command, wanted in (("select", database), (WHERE, cluster)) if wanted]
    return ["reset", "on", "-@all", *first, *allowed]


def commands_of(text: str) -> set[str]:
    """Return the commands that a script calls, in ACL form: ``xadd``, ``xinfo|stream``."""
    found: set[str] = set()
    for word, following in re.findall(r"'([A-Z]{3,})'(?=(?:,\s*'([A-Z]+)')?)", text):
        if word in CONTAINERS:
            found.add(f"{word}|{following}".lower())
        elif word not in OPTIONS and word not in ERRORS:
            found.add(word.lower())
    subcommands = {command.partition("|")[2] for command in found if "|" in command}
    return found - subcommands


def password_rule(password: str) -> str:
    """Return the rule that sets a password, hashed, so that it may be stored in a file or shown."""
    return "#" + hashlib.sha256(password.encode()).hexdigest()


def _entries() -> list[str]:
    return [name for name, source in sources().items() if "ARGV" in source.header]
