"""Which server and which partition a command works on: flags, environment, a TOML file, defaults, in that order."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from .connection import SCHEMES, connect, place_of
from .keys import DEFAULT_NAMESPACE, Keys

ENV_PREFIX = "STREAMSCHED_"
CONFIG_ENV = "STREAMSCHED_CONFIG"
DEFAULT_URL = "redis://localhost:6379"

OURS = {"protocol", "decode_responses", "encoding", "encoding_errors"}
"""Options of a connection that the programs rely on and a URL may not change."""


class SettingsError(ValueError):
    """The settings cannot be used; the text names where the value came from, the key and the remedy."""

    code = "SETTINGS"


class Settings(BaseSettings):
    """One partition of one server.

    Attributes:
        url: ``redis://``, ``rediss://``, ``unix://``, or ``redis+sentinel://`` for a server that sentinels look after;
            ``redis://localhost:6379`` by default. May hold a password: show it through :func:`mask`.
        namespace: the first part of every key; ``scheduler`` by default.
        partition: the number of the partition, from 0; 0 by default.
    """

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    url: str = DEFAULT_URL
    namespace: str = DEFAULT_NAMESPACE
    partition: int = 0

    @property
    def keys(self) -> Keys:
        """The keys of the partition."""
        return Keys(self.namespace, self.partition)

    @field_validator("url")
    @classmethod
    def _usable(cls, url: str) -> str:
        scheme = url.partition("://")[0]
        if scheme not in SCHEMES:
            raise ValueError(
                "give redis://HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/NAME, either with rediss for TLS, or "
                "unix:///PATH"
            )
        try:
            pool: Any = connect(url).connection_pool
            pool.make_connection()  # connects to nothing: it only reads the options
        except (ValueError, TypeError) as problem:
            # where the URL holds a password that was not quoted, the reason may quote a part of it
            why = "quote special characters as %XX" if "@" in url else str(problem)
            raise ValueError(f"not usable ({why}): give {SCHEMES[scheme]}") from None
        if taken := OURS & set(place_of(url).options):
            raise ValueError(f"leave {', '.join(sorted(taken))} out of the URL: streamsched sets it")
        return url

    @field_validator("namespace")
    @classmethod
    def _a_name(cls, namespace: str) -> str:
        Keys(namespace)
        return namespace

    @field_validator("partition")
    @classmethod
    def _counted_from_0(cls, partition: int) -> int:
        if partition < 0:
            raise ValueError("give a whole number from 0")
        return partition


def config_file(given: Path | None = None) -> Path | None:
    """Return the TOML file to read: the one given, ``$STREAMSCHED_CONFIG``, ``./streamsched.toml``, or
    ``~/.config/streamsched/config.toml`` (below ``$XDG_CONFIG_HOME`` if set), whichever is there first.

    Raises:
        SettingsError: the file that was asked for does not exist.
    """
    for asked, by in ((given, "--config"), (os.environ.get(CONFIG_ENV) or None, CONFIG_ENV)):
        if asked is not None:
            if not Path(asked).is_file():
                raise SettingsError(f"{by}: no file {asked}; create it, or leave {by} out")
            return Path(asked)
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    usual = (Path("streamsched.toml"), home / "streamsched" / "config.toml")
    return next((path for path in usual if path.is_file()), None)


def load(flags: Mapping[str, Any] | None = None, config: Path | None = None) -> Settings:
    """Put the settings together; what a source leaves out comes from the next one.

    Args:
        flags: what the command line gave; ``None`` values count as left out.
        config: the TOML file; ``None`` (default) looks in the usual places, see :func:`config_file`.

    Raises:
        SettingsError: a file is missing, malformed or holds an unknown key, or a value cannot be used.
    """
    path = config_file(config)

    class Sourced(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            toml = (TomlConfigSettingsSource(settings_cls, path),) if path else ()
            return (init_settings, env_settings, *toml)

    given = {name: value for name, value in (flags or {}).items() if value is not None}
    try:
        found = Sourced(**given)
    except ValidationError as problem:
        wrong = problem.errors(include_url=False, include_input=False)[0]
        raise SettingsError(_explain(str(wrong["loc"][0]), wrong["msg"], given, path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as problem:
        raise SettingsError(f'{path}: cannot be read as TOML: {problem}; write lines such as namespace = "…"') from None
    return Settings.model_construct(**found.model_dump())


def _explain(name: str, what: str, given: Mapping[str, Any], path: Path | None) -> str:
    """Say where a bad value came from, in the order in which the sources are asked."""
    if name not in Settings.model_fields:
        return f"{path}: unknown key {name!r}; remove it, or use one of {', '.join(Settings.model_fields)}"
    what = what.removeprefix("Value error, ")
    variable = ENV_PREFIX + name.upper()
    if name in given:
        return f"--{name}: {what}"
    return f"environment: {variable}: {what}" if os.environ.get(variable) else f"{path}: {name}: {what}"
