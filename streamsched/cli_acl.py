"""``streamsched acl``: the rules of a role, ready for the server."""

from __future__ import annotations

from pathlib import Path

from .acl import password_rule, rules
from .settings import Settings, password_in
from .terminal import UsageProblem, as_json, complain, say

MISSING = "#SHA256-OF-THE-PASSWORD"
"""In the place of a password that was not given. No server takes it: a user without a password must not come about."""


def print_rules(
    settings: Settings, role: str, user: str | None, password_file: Path | None, database: int, json: bool
) -> None:
    """Print the rules of a role for one partition.

    Raises:
        UsageProblem: the name of the user cannot be one.
        SettingsError: the file of the password cannot be read.
    """
    name = user or role
    if not name.isprintable() or " " in name:
        raise UsageProblem(f"--user {name!r}: give a name without blanks")
    secret = MISSING
    if password_file is not None:
        secret = password_rule(password_in(password_file))
    elif not json:
        complain(f"put the password's SHA-256 in the place of {MISSING}, or give --password-file")
    words = rules(role, settings.keys, database)
    words.insert(words.index("on") + 1, secret)
    if json:
        as_json({"user": name, "rules": words})
    else:
        say(" ".join(["user", name, *words]))
