"""The server and partition of a command: from flags, environment, a TOML file, or defaults, in that order."""

from __future__ import annotations

import os
import ssl
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from ..connect import tls
from ..connect.client import connect
from ..connect.url import SCHEMES, of_partition, place_of
from ..contract.keys import DEFAULT_NAMESPACE, Keys

ENV_PREFIX = "STREAMSCHED_"
CONFIG_ENV = "STREAMSCHED_CONFIG"
DEFAULT_URL = "redis://localhost:6379"

OURS = {"protocol", "decode_responses", "encoding", "encoding_errors"}
"""Connection options that the programs rely on; a URL may not change them."""


class SettingsError(ValueError):
    """The settings cannot be used; the text names the source of the value, the key and the remedy."""

    code = "SETTINGS"


class Settings(BaseSettings):
    """One partition of one server.

    Attributes:
        url: ``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://`` for a server behind sentinels, or
            ``redis+cluster://`` for a cluster; ``redis://localhost:6379`` by default. As :func:`load` returns it, it
            holds the password and the files of the certificates, and in a cluster the partition: show it through
            :func:`.shown.mask`.
        namespace: the first part of every key; ``scheduler`` by default.
        partition: the number of the partition, from 0; 0 by default.
        password: the password of the URL's user; from the environment or the TOML file only.
        password_file: a file with the password.
        tls_ca: CA certificates for the server, in PEM; by default those that the system trusts.
        tls_cert: the client certificate, in PEM, if the server requires one.
        tls_key: its key, if that is not in the same file.
        source: the source whose ingress takes the events; none by default: events go straight to the log.
    """

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    url: str = Field(DEFAULT_URL, repr=False)
    namespace: str = DEFAULT_NAMESPACE
    partition: int = 0
    password: SecretStr | None = None
    password_file: Path | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    source: str | None = None

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
                "give redis://HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/NAME or "
                "redis+cluster://HOST:PORT,HOST:PORT, each with rediss for TLS, or unix:///PATH"
            )
        try:
            connect(url)
        except ValueError as problem:
            raise ValueError(f"not usable ({problem}): give {SCHEMES[scheme]}") from None
        if taken := OURS & set(place_of(url).options):
            raise ValueError(f"leave {', '.join(sorted(taken))} out of the URL: streamsched sets it")
        if place_of(url).partition is not None and urlsplit(url).path.strip("/"):
            raise ValueError("leave out the path after the servers: --partition sets it")
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
    ``~/.config/streamsched/config.toml`` (below ``$XDG_CONFIG_HOME`` if set), the first that exists.

    Raises:
        SettingsError: the given file does not exist.
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
    """Combine the settings; a value missing in one source comes from the next.

    Args:
        flags: the flags of the command line; ``None`` counts as missing.
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
        url = _with_certificates(found, _with_password(found))
    except _Unfit as problem:
        raise SettingsError(_explain(problem.name, problem.what, given, path)) from None
    except ValidationError as problem:
        wrong = problem.errors(include_url=False, include_input=False)[0]
        raise SettingsError(_explain(str(wrong["loc"][0]), wrong["msg"], given, path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as problem:
        raise SettingsError(f'{path}: is not valid TOML: {problem}; write lines such as namespace = "…"') from None
    if "url" in given:
        without_secret("--url", found.url)
    rest = found.model_dump(exclude={"url", "password"})
    return Settings.model_construct(url=of_partition(url, found.partition), password=None, **rest)


def password_in(file: Path) -> str:
    """Read the password from a file.

    Raises:
        SettingsError: the file cannot be read, or does not hold one line.
    """
    try:
        return _secret(file)
    except _Unfit as problem:
        raise SettingsError(f"--password-file: {problem.what}") from None


def without_secret(flag: str, url: str) -> None:
    """Check that a URL of the command line holds no password: every user of this machine sees it in ``ps``.

    Raises:
        SettingsError: it holds one.
    """
    place = place_of(url)
    if "password" in place.options or "password" in place.guide_options:
        raise SettingsError(
            f"{flag}: holds a password, which `ps` shows to every user of this machine: give it in "
            f"{ENV_PREFIX}PASSWORD or --password-file FILE, or the whole URL in {ENV_PREFIX}URL or the TOML file"
        )


class _Unfit(Exception):
    """A value that cannot be combined with the others."""

    def __init__(self, name: str, what: str) -> None:
        self.name, self.what = name, what


def _with_password(found: Settings) -> str:
    """Return the URL with the password in it, from whichever setting."""
    password = None if found.password is None else found.password.get_secret_value()
    if found.password_file is not None:
        if password is not None:
            raise _Unfit("password_file", f"{ENV_PREFIX}PASSWORD holds a password, too: remove one of the two")
        password = _secret(found.password_file)
    if password is None:
        return found.url
    if "password" in place_of(found.url).options:
        name = "password" if found.password_file is None else "password_file"
        raise _Unfit(name, "the URL holds a password, too: remove one of the two")
    parts = urlsplit(found.url)
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.rstrip(':')}:{quote(password, safe='')}@{host}").geturl()


def _secret(file: Path) -> str:
    password = _read("password_file", file).removesuffix("\n").removesuffix("\r")
    if not password or "\n" in password:
        raise _Unfit("password_file", f"{file} must hold the password on one line")
    return password


def _with_certificates(found: Settings, url: str) -> str:
    """Return the URL with the files of the certificates in it."""
    files = {"tls_ca": "ssl_ca_certs", "tls_cert": "ssl_certfile", "tls_key": "ssl_keyfile"}
    given = {name: file for name in files if (file := getattr(found, name)) is not None}
    for name, file in given.items():
        if not url.startswith("rediss"):
            raise _Unfit(name, f"needs rediss://, not {url.partition('://')[0]}://: change one of the two")
        _read(name, file)
    _check_certificates(found)
    if "tls_key" in given and "tls_cert" not in given:
        raise _Unfit("tls_key", "needs a certificate: give tls_cert, too")
    if not given:
        return url
    options = urlencode({files[name]: str(file) for name, file in given.items()})
    return f"{url}{'&' if urlsplit(url).query else '?'}{options}"


def _check_certificates(found: Settings) -> None:
    """Load the files as a connection will, so that a fault is reported here and not as an unreachable server."""

    def encrypted() -> str:
        raise _Unfit("tls_key" if found.tls_key else "tls_cert", "the key is encrypted: give an unencrypted one")

    if found.tls_ca is not None:
        try:
            ssl.create_default_context(cafile=str(found.tls_ca))
        except ssl.SSLError:
            raise _Unfit("tls_ca", f"{found.tls_ca} holds no certificates in PEM: give those of the CA") from None
    if found.tls_cert is not None:
        try:
            ssl.create_default_context().load_cert_chain(found.tls_cert, found.tls_key, encrypted)
        except ssl.SSLError as problem:
            why = tls.refusal(problem) or str(problem)
            raise _Unfit("tls_cert", f"{found.tls_cert} cannot be used: {why}") from None


def _read(name: str, file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else "it is not text"
        raise _Unfit(name, f"{file} cannot be read: {why}") from None


def _explain(name: str, what: str, given: Mapping[str, Any], path: Path | None) -> str:
    """Return the source of a bad value, in the order of the sources."""
    if name not in Settings.model_fields:
        return f"{path}: unknown key {name!r}; remove it, or use one of {', '.join(Settings.model_fields)}"
    what = what.removeprefix("Value error, ")
    variable = ENV_PREFIX + name.upper()
    if name in given:
        return f"--{name.replace('_', '-')}: {what}"
    return f"environment: {variable}: {what}" if os.environ.get(variable) else f"{path}: {name}: {what}"
