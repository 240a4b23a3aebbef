"""``streamsched acl``: the rules of a role, ready for the server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import typer

from ...console.terminal import UsageProblem, as_json, complain, say
from ...contract.keys import Keys
from ...engine.ingress import NAME
from ...ops.acl import OF_SOURCES, password_rule, rules, source_rules
from ...ops.settings import password_in
from .. import completion
from ..options import OF_THE_SERVER, Json, Target, command

MISSING = "#SHA256-OF-THE-PASSWORD"
"""Printed when no password is given. No server accepts it, so that no user without a password can result."""


@command("streamsched acl worker --password-file worker.secret >> users.acl", without=OF_THE_SERVER)
async def acl(
    target: Target,
    role: Annotated[Literal["producer", "node", "worker", "archiver", "auditor", "operator"], typer.Argument()],
    user: Annotated[str | None, typer.Option(help="Name of the user. [default: that of the role]")] = None,
    password_file: Annotated[
        Path | None, typer.Option("--password-file", metavar="FILE", help="Holds the user's password; printed hashed.")
    ] = None,
    database: Annotated[int, typer.Option(min=0, help="Database of the partition.")] = 0,
    cluster: Annotated[bool, typer.Option("--cluster", help="For a server of a cluster.")] = False,
    source: Annotated[
        str | None, typer.Option(help="Source that writes through its ingress.", autocompletion=completion.sources)
    ] = None,
    node: Annotated[
        str | None, typer.Option(help="Node that the source writes for.", autocompletion=completion.nodes)
    ] = None,
    json: Json = False,
) -> None:
    """Print the ACL rules of a role. The line goes into the server's ACL file, or, without the word `user`, to ACL
    SETUSER. docs/security.md says what each role may do."""

    speaker = Speaker(source, node)
    words = _rules(target.settings.keys, role, speaker, database, cluster)
    name = user or speaker.source or role
    if not name.isprintable() or " " in name:
        raise UsageProblem(f"--user {name!r}: give a name without blanks")
    secret = MISSING
    if password_file is not None:
        secret = password_rule(password_in(password_file))
    elif not json:
        complain(f"put the password's SHA-256 in place of {MISSING}, or give --password-file")
    words.insert(words.index("on") + 1, secret)
    if json:
        as_json({"user": name, "rules": words})
    else:
        say(" ".join(["user", name, *words]))


class Speaker(NamedTuple):
    """Return the source, if one is given."""

    source: str | None
    node: str | None


def _rules(keys: Keys, role: str, speaker: Speaker, database: int, cluster: bool) -> list[str]:
    source, node = speaker
    if source is None:
        if node is not None:
            raise UsageProblem("--node goes with --source: a node without an ingress may write for all")
        return rules(role, keys, database, cluster)
    if role not in OF_SOURCES or (role == "node") != (node is not None):
        raise UsageProblem("--source needs the role producer, or the role node with --node NAME")
    if not NAME.fullmatch(source):
        raise UsageProblem(f"--source {source!r}: use up to 64 letters, digits, dots, hyphens and underscores")
    if node is not None and (not node.isprintable() or " " in node or not node):
        raise UsageProblem(f"--node {node!r}: an ACL cannot hold blanks; rename the node")
    return source_rules(role, keys, source, node or "", database, cluster)
