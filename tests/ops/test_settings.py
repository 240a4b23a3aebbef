"""The sources of a command's settings, and the errors for bad ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import trustme

from streamsched.connect.url import place_of
from streamsched.ops.settings import SettingsError, load
from streamsched.sanitize import mask


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of the machine that runs the tests."""
    for name in [name for name in os.environ if name.startswith("STREAMSCHED_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


def test_without_any_source_the_defaults_hold() -> None:
    settings = load()
    assert (settings.url, settings.namespace, settings.partition) == ("redis://localhost:6379", "scheduler", 0)


def test_flags_win_over_the_environment_which_wins_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "streamsched.toml").write_text('url = "redis://file:1"\nnamespace = "file"\npartition = 1\n')
    monkeypatch.setenv("STREAMSCHED_NAMESPACE", "environment")
    monkeypatch.setenv("STREAMSCHED_PARTITION", "2")
    settings = load({"partition": 3, "namespace": None})
    assert (settings.url, settings.namespace, settings.partition) == ("redis://file:1", "environment", 3)


def test_an_empty_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMSCHED_URL", "")
    monkeypatch.setenv("STREAMSCHED_CONFIG", "")
    assert load().url == "redis://localhost:6379"


def test_the_file_is_looked_for_in_four_places_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "config" / "streamsched"
    home.mkdir(parents=True)
    (home / "config.toml").write_text('namespace = "home"')
    assert load().namespace == "home"
    (tmp_path / "streamsched.toml").write_text('namespace = "here"')
    assert load().namespace == "here"
    (tmp_path / "named.toml").write_text('namespace = "named"')
    monkeypatch.setenv("STREAMSCHED_CONFIG", str(tmp_path / "named.toml"))
    assert load().namespace == "named"
    (tmp_path / "given.toml").write_text('namespace = "given"')
    assert load(config=tmp_path / "given.toml").namespace == "given"


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ('urll = "redis://localhost"', ["bad.toml", "'urll'", "url, namespace, partition"]),
        ('namespace = "a{b}"', ["bad.toml: namespace", "without braces"]),
        ("namespace = 3", ["bad.toml: namespace", "string"]),
        ('partition = "one"', ["bad.toml: partition", "integer"]),
        ("partition = -1", ["bad.toml: partition", "from 0"]),
        ('url = "http://localhost"', ["bad.toml: url", "redis://HOST:PORT"]),
        ('url = "redis://localhost:port"', ["bad.toml: url", "redis://[USER:PASSWORD@]HOST:PORT"]),
        ('url = "redis://localhost?retry_forever=1"', ["bad.toml: url", "retry_forever"]),
        ('url = "redis+sentinel://localhost"', ["bad.toml: url", "no name", "redis+sentinel://[USER", "/NAME"]),
        ('url = "redis+sentinel://h1/m?retry_forever=1"', ["bad.toml: url", "retry_forever"]),
        ('url = "redis+sentinel://h1/m?decode_responses=1"', ["bad.toml: url", "leave decode_responses out"]),
        ('url = "redis://localhost?protocol=3"', ["bad.toml: url", "leave protocol out"]),
        ("url = redis://localhost", ["bad.toml", "TOML", "line 1"]),
        ("[server]\nurl = 'redis://localhost'", ["bad.toml", "'server'"]),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_key_and_a_remedy(
    content: str, parts: list[str], tmp_path: Path
) -> None:
    (tmp_path / "bad.toml").write_text(content)
    with pytest.raises(SettingsError) as refused:
        load(config=tmp_path / "bad.toml")
    assert [part for part in parts if part not in str(refused.value)] == [], str(refused.value)


def test_a_bad_value_is_laid_to_the_source_it_came_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "streamsched.toml").write_text("partition = -1")
    with pytest.raises(SettingsError, match=r"streamsched\.toml: partition"):
        load()
    monkeypatch.setenv("STREAMSCHED_PARTITION", "-2")
    with pytest.raises(SettingsError, match="environment: STREAMSCHED_PARTITION"):
        load()
    with pytest.raises(SettingsError, match="--partition"):
        load({"partition": -3})


def test_a_file_that_was_asked_for_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"--config: no file nowhere\.toml"):
        load(config=Path("nowhere.toml"))
    monkeypatch.setenv("STREAMSCHED_CONFIG", "nowhere.toml")
    with pytest.raises(SettingsError, match=r"STREAMSCHED_CONFIG: no file nowhere\.toml"):
        load()


def test_a_password_is_never_part_of_an_error() -> None:
    for url in (
        "http://user:geheim@host",
        "redis://:geheim/x@host",
        "redis://host?password=geheim&x=1",
        "redis+sentinel://h?x=geheim@",
    ):
        with pytest.raises(SettingsError) as refused:
            load({"url": url})
        assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "complete"),
    [
        ("redis://h1", "redis://:p%40s%2Fs@h1"),
        ("redis://me@h1:1/2", "redis://me:p%40s%2Fs@h1:1/2"),
        ("rediss+sentinel://me@h1,h2/m?socket_timeout=1", "rediss+sentinel://me:p%40s%2Fs@h1,h2/m?socket_timeout=1"),
        ("unix:///run/s.sock?db=1", "unix://:p%40s%2Fs@/run/s.sock?db=1"),
    ],
)
def test_the_password_comes_from_a_file_or_the_environment(
    url: str, complete: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("p@s/s\n")
    assert load({"url": url, "password_file": Path("secret")}).url == complete
    (tmp_path / "streamsched.toml").write_text('password_file = "secret"')
    assert load({"url": url}).url == complete
    (tmp_path / "streamsched.toml").unlink()
    monkeypatch.setenv("STREAMSCHED_PASSWORD", "p@s/s")
    assert load({"url": url}).url == complete
    options = place_of(complete).options
    assert options["password"] == "p@s/s"
    assert "p@s/s" not in repr(load({"url": url}))
    assert "p%40s" not in repr(load({"url": url}))


def test_the_files_of_the_certificates_become_a_part_of_the_url(tmp_path: Path) -> None:
    ca = trustme.CA()
    client = ca.issue_cert("client.example")
    for name, held in (("ca", ca.cert_pem), ("cert", client.cert_chain_pems[0]), ("key", client.private_key_pem)):
        held.write_to_path(str(tmp_path / f"{name} x.pem"))
    files = {f"tls_{name}": Path(f"{name} x.pem") for name in ("ca", "cert", "key")}
    options = place_of(load({"url": "rediss://h1/0?socket_timeout=1", **files}).url).options
    assert {name: value for name, value in options.items() if name.startswith("ssl")} == {
        "ssl_ca_certs": "ca x.pem",
        "ssl_certfile": "cert x.pem",
        "ssl_keyfile": "key x.pem",
    }
    assert options["socket_timeout"] == 1
    assert place_of(load({"url": "rediss+sentinel://h1/m", **files}).url).guide_options["ssl_ca_certs"] == "ca x.pem"


@pytest.mark.parametrize(
    ("flags", "environment", "parts"),
    [
        ({"url": "redis://:geheim@h1"}, {}, ["--url: holds a password", "`ps` shows", "STREAMSCHED_PASSWORD"]),
        ({"url": "redis://h1?password=geheim"}, {}, ["--url: holds a password"]),
        ({"url": "redis+sentinel://h1/m?sentinel_password=geheim"}, {}, ["--url: holds a password"]),
        ({"password_file": Path("nowhere")}, {}, ["--password-file: nowhere cannot be read: No such file"]),
        ({"password_file": Path("empty")}, {}, ["--password-file: empty must hold the password on one line"]),
        ({"password_file": Path("lines")}, {}, ["--password-file: lines must hold the password on one line"]),
        ({"password_file": Path("bytes")}, {}, ["--password-file: bytes cannot be read: it is not text"]),
        ({"password_file": Path("secret")}, {"PASSWORD": "geheim"}, ["STREAMSCHED_PASSWORD holds a password, too"]),
        ({}, {"PASSWORD": "x", "URL": "redis://:geheim@h1"}, ["STREAMSCHED_PASSWORD: the URL holds a password, too"]),
        ({"tls_ca": Path("secret")}, {}, ["--tls-ca: needs rediss://, not redis://"]),
        ({}, {"TLS_CA": "secret"}, ["environment: STREAMSCHED_TLS_CA: needs rediss://"]),
        ({"url": "rediss://h1", "tls_ca": Path("nowhere")}, {}, ["--tls-ca: nowhere cannot be read: No such file"]),
        ({"url": "rediss://h1", "tls_key": Path("secret")}, {}, ["--tls-key: needs a certificate", "give tls_cert"]),
    ],
)
def test_a_secret_or_a_certificate_that_cannot_be_used_is_named_with_a_remedy(
    flags: dict[str, Any],
    environment: dict[str, str],
    parts: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, held in (("empty", b"\n"), ("lines", b"geheim\ngeheim"), ("bytes", b"\xff"), ("secret", b"geheim")):
        (tmp_path / name).write_bytes(held)
    for name, value in environment.items():
        monkeypatch.setenv(f"STREAMSCHED_{name}", value)
    with pytest.raises(SettingsError) as refused:
        load(flags)
    assert [part for part in parts if part not in str(refused.value)] == [], str(refused.value)
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:geheim@host:1/2", "redis://:***@host:1/2"),
        ("at rediss://user:geheim@host", "at rediss://user:***@host"),
        ("redis://:ge@heim@host", "redis://:***@host"),
        ("redis://:ge/heim@host:1", "redis://:***@host:1"),
        ("redis://host?password=geheim&db=1", "redis://host?password=***&db=1"),
        ("redis+sentinel://u:ge%20heim@h1,h2/m", "redis+sentinel://u:***@h1,h2/m"),
        ("redis+sentinel://h/m?sentinel_password=geheim&x=1", "redis+sentinel://h/m?sentinel_password=***&x=1"),
        ("redis://localhost:6379", "redis://localhost:6379"),
        ("mail me@host", "mail me@host"),
    ],
)
def test_passwords_are_masked_wherever_a_url_is_shown(text: str, shown: str) -> None:
    assert mask(text) == shown
