"""A server on which every role is a user of its own, with the rights that ``streamsched acl`` prints and no others."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis

from streamsched.contract.keys import Keys
from streamsched.ops.acl import ROLES
from streamsched.ops.settings import load
from streamsched.server.embedded import EmbeddedServer

from ..processes import Cli, Outcome

SECRET = "geheim-" + secrets.token_hex(8)
"""In every password of these tests, so that one search finds them all."""


class Guarded:
    """Runs commands as users of a server whose default user is switched off."""

    def __init__(self, server: EmbeddedServer, cli: Cli) -> None:
        self.server, self.cli = server, cli
        self.folder = cli.folder
        self.admin: Any = Redis(port=server.port, username="admin", password=SECRET, decode_responses=True, protocol=2)
        self.lines = [f"user admin on >{SECRET} ~* &* +@all", "user default off"]
        for role in ROLES:
            self.admit(role)
        self.load()

    def admit(self, role: str, user: str | None = None, *flags: str) -> None:
        """Add a user by the line that ``streamsched acl`` prints, through the server's ACL file."""
        user = user or role
        (self.folder / f"{user}.secret").write_text(f"{SECRET}-{user}\n")
        line = self.cli.run("acl", role, "--user", user, "--password-file", f"{user}.secret", *flags)
        assert (line.code, line.err) == (0, "")
        assert SECRET not in line.out
        self.lines.append(line.out.strip())

    def url(self, user: str) -> str:
        """The URL of this user, its password in it."""
        who = self.who(user)
        return load({"url": who["STREAMSCHED_URL"], "password_file": Path(who["STREAMSCHED_PASSWORD_FILE"])}).url

    def load(self) -> None:
        """Let the server read its ACL file."""
        (self.server.data / "users.acl").write_text("\n".join(self.lines) + "\n")
        self.admin.execute_command("ACL", "LOAD")

    def who(self, user: str) -> dict[str, str]:
        """The environment of a program that logs in as this user."""
        url = f"redis://{user}@127.0.0.1:{self.server.port}"
        return {"STREAMSCHED_URL": url, "STREAMSCHED_PASSWORD_FILE": str(self.folder / f"{user}.secret")}

    def run(self, user: str, *arguments: str, stdin: str = "") -> Outcome:
        """Run a command as a user to its end."""
        return self.cli.run(*arguments, stdin=stdin, **self.who(user))

    def start(self, user: str, *arguments: str) -> Any:
        """Start a command that goes on, as a user."""
        return self.cli.start(*arguments, **self.who(user))

    def client(self, user: str) -> Any:
        """A plain client of this user's."""
        return Redis(
            port=self.server.port,
            username=user,
            password=f"{SECRET}-{user}",
            decode_responses=True,
            protocol=2,
        )


@contextmanager
def guarded(binary: Path, folder: Path) -> Iterator[Guarded]:
    """Yield a guarded server and what runs on it; everything ends with the block."""
    data = folder / "server"
    data.mkdir()
    # the start of the server pings it without a login
    (data / "users.acl").write_text(f"user default on nopass ~* &* +@all\nuser admin on >{SECRET} ~* &* +@all\n")
    options = {"aclfile": str(data / "users.acl"), "rdbcompression": "no"}  # so that a dump can be searched
    with EmbeddedServer(data, binary=binary, options=options) as server:
        cli = Cli(server.url, Keys("guarded"), folder)
        try:
            yield Guarded(server, cli)
        finally:
            cli.end()
