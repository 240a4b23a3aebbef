"""``streamsched acl``: the rules of a role, ready for the server."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ...console.terminal import UsageProblem, as_json, complain, say
from ...contract.keys import Keys
from ...engine.ingress import NAME
from ...ops.acl import OF_SOURCES, password_rule, rules, source_rules
from ...ops.settings import Settings, password_in

MISSING = "#SHA256-OF-THE-PASSWORD"
"""In the place of a password that was not given. No server takes it: a user without a password must not come about."""


class Speaker(NamedTuple):
    """Who speaks through an ingress, if that is asked for."""

    source: str | None
    node: str | None


def _rules(keys: Keys, role: str, speaker: Speaker, database: int, cluster: bool) -> list[str]:
    source, node = speaker
    if source is None:
        if node is not None:
            raise UsageProblem("--node goes with --source: a node that needs no ingress may speak for all")
        return rules(role, keys, database, cluster)
    if role not in OF_SOURCES or (role == "node") != (node is not None):
        raise UsageProblem("--source goes with producer, and with node together with --node NAME")
    if not NAME.fullmatch(source):
        raise UsageProblem(f"--source {source!r}: use up to 64 letters, digits, dots, hyphens and underscores")
    if node is not None and (not node.isprintable() or " " in node or not node):
        raise UsageProblem(f"--node {node!r}: an ACL has no room for blanks; give the node another name")
    return source_rules(role, keys, source, node or "", database, cluster)


def print_rules(
    settings: Settings,
    role: str,
    speaker: Speaker,
    user: str | None,
    password_file: Path | None,
    database: int,
    cluster: bool,
    json: bool,
) -> None:
    """Print the rules of a role for one partition.

    Raises:
        UsageProblem: a name cannot be one, or does not go with the role.
        SettingsError: the file of the password cannot be read.
    """
    words = _rules(settings.keys, role, speaker, database, cluster)
    name = user or speaker.source or role
    if not name.isprintable() or " " in name:
        raise UsageProblem(f"--user {name!r}: give a name without blanks")
    secret = MISSING
    if password_file is not None:
        secret = password_rule(password_in(password_file))
    elif not json:
        complain(f"put the password's SHA-256 in the place of {MISSING}, or give --password-file")
    words.insert(words.index("on") + 1, secret)
    if json:
        as_json({"user": name, "rules": words})
    else:
        say(" ".join(["user", name, *words]))
