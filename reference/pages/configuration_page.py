"""The settings of the programs and the configuration of a partition as a page: ``docs/reference/configuration.md``."""

from __future__ import annotations

import inspect
import re
from typing import Any

from streamsched.contract.config import DEFAULTS
from streamsched.ops.settings import CONFIG_ENV, ENV_PREFIX, Settings

from ..contract import fields
from .markdown import table, written_from

HEAD = f"""\
# Configuration

There are two kinds. *Settings* say which server and which partition a program works on; each program has its own.
The *configuration of a partition* is state: an event changes it, and all programs share it.

## Settings

A setting comes from the first of these that has it: the command line, the environment, the TOML file, the default.
The TOML file is the one that `--config` or `{CONFIG_ENV}` names, else `./streamsched.toml`, else
`~/.config/streamsched/config.toml`. An unknown key in it is an error.
"""

EXAMPLE = """\
```toml
url = "rediss://scheduler.example.org:6379"
namespace = "scheduler"
password_file = "/etc/streamsched/worker.secret"
```
"""

PARTITION = """\
## Configuration of a partition

`streamsched configure` shows the configuration. `streamsched configure KEY=VALUE` appends a `scheduler.configured`
event; a producer may append the same event. The change takes effect at its place in the log, and a replay applies it
there too.
"""


def meanings() -> dict[str, str]:
    """Return what the docstring of the settings says of each."""
    words = inspect.getdoc(Settings) or ""
    listed = words.partition("Attributes:\n")[2]
    found = re.findall(r"^    (\w+): (.*?)(?=^    \w|\Z)", listed, re.DOTALL | re.MULTILINE)
    return {name: plain(text.split(". ")[0].rstrip(".\n ") + ".") for name, text in found}


def plain(text: str) -> str:
    """Return a docstring's text as Markdown."""
    flowing = " ".join(text.split()).replace("``", "`")
    sentence = re.sub(r":\w+:`[.~]*([^`]+)`", r"`\1`", flowing)
    return sentence[:1].upper() + sentence[1:]


def flag(name: str) -> str:
    """Return the option of a setting; a password has none, because the list of processes would show it."""
    return "" if name == "password" else f"`--{name.replace('_', '-')}`"


def default(value: Any) -> str:
    """Return a default as a reader writes it."""
    return "" if value is None else f"`{value}`"


def text() -> str:
    """Return the page."""
    said = meanings()
    settings = [
        (f"`{name}`", flag(name), f"`{ENV_PREFIX}{name.upper()}`", default(field.default), said[name])
        for name, field in Settings.model_fields.items()
    ]
    configuration = [
        (f"`{field.name}`", f"`{DEFAULTS[field.name]}`", f"{field.kind.words} {field.kind.unit}".rstrip(), field.words)
        for field in fields("scheduler.configured")
        if field.name in DEFAULTS
    ]
    return "\n".join(
        [
            written_from("streamsched/ops/settings.py and streamsched/contract/config.py") + HEAD,
            table(settings, ("key in the file", "option", "environment", "default", "meaning")),
            EXAMPLE,
            PARTITION,
            table(configuration, ("key", "default", "values", "meaning")),
        ]
    )
