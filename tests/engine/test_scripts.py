"""The loader and its contract with the Lua sources, and the shape of the house."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import streamsched
from streamsched.contract.errors import ERRORS, InvalidField, SchedulerError, ServerReadOnly, error_of
from streamsched.contract.keys import SHAPES, Keys
from streamsched.contract.wire import EVENTS, field_kinds
from streamsched.engine import loader as scripts
from streamsched.engine.loader import ScriptError, Source, compose, facts, lua_root, script, sources

from ..support.ledger import Ledger

PACKAGE = Path(streamsched.__file__).parent
LUA = sorted(Path(str(lua_root())).rglob("*.lua"))
ENTRIES = [
    "advance",
    "append",
    "condemn",
    "drop",
    "hand_in",
    "load",
    "nodes",
    "parted",
    "refold",
    "replay",
    "restore",
    "take_in",
    "trim",
    "trim_letters",
]


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_composes_into_one_text_with_its_header_as_locals(name: str) -> None:
    text = compose(name)
    header = sources()[name].header
    for n, key in enumerate(header.get("KEYS") or header["READS"], 1):
        assert f"local {key} = KEYS[{n}]" in text
    for n, argument in enumerate(header["ARGV"], 1):
        assert f"local {argument} = ARGV[{n}]" in text
    assert not re.search(r"\b(key|limit)\.\w", text)
    for used in re.findall(r"\bcheck_\w+", text):
        assert f"local function {used}(" in text


def test_a_call_must_name_exactly_what_the_header_names() -> None:
    advance = script("advance")
    given: dict[str, Any] = dict.fromkeys([*advance.keys, *advance.argv], "x")
    assert advance.arguments(**given) == [len(advance.keys), *["x"] * len(given)]
    with pytest.raises(TypeError, match="advance takes events, heartbeats, dead, prefix, batch, nonce"):
        advance.arguments(**given | {"batches": 1})
    del given["nonce"]
    with pytest.raises(TypeError, match="given were events, heartbeats, dead, prefix, batch"):
        advance.arguments(**given)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("return key.jobs", "x: key.jobs is not in keys.SHAPES"),
        ("return key.job", "x: key.job takes 1 ids, 0 were given"),
        ("return key.job(a, b)", "x: key.job takes 1 ids, 2 were given"),
        ("return key.lang(a)", "x: key.lang takes 2 ids, 1 were given"),
        ("return limit.patience", "x: limit.patience is not in events.LIMITS"),
        ("fail('NO_SUCH_CODE', 'detail')", "x: NO_SUCH_CODE is no code of errors.py"),
        ("return redis.error_reply('BROKEN ' .. why)", "x: BROKEN is no code of errors.py"),
    ],
)
def test_a_source_that_breaks_the_contract_is_refused_by_name(text: str, problem: str) -> None:
    with pytest.raises(ScriptError, match=re.escape(problem)):
        Source("x", text)


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("return key.job(id)", "return (prefix .. 'job:' .. id)"),
        ("return key.lang(a, f(b, c))", "return (prefix .. 'lang:' .. a .. ':' .. f(b, c))"),
        ("return key.pool_info(id)", "return (prefix .. 'pool:' .. id .. ':info')"),
        ("return key.meta", "return (prefix .. 'meta')"),
        ("return limit.window", "return 256"),
        ("-- a remark with key.nothing? no\nreturn 1", None),
    ],
)
def test_keys_and_limits_are_filled_in_from_python(text: str, body: str | None) -> None:
    if body is None:
        with pytest.raises(ScriptError, match="nothing"):
            Source("x", text)  # remarks are held to it as well: a stale one would mislead
    else:
        assert Source("x", text).body == body


def changed(monkeypatch: pytest.MonkeyPatch, **texts: str) -> None:
    """Let the loader find these sources in place of, or beside, those of lua/."""
    found = dict(sources())
    for name, text in texts.items():
        found[name.replace("__", ".")] = Source(name.replace("__", "."), text)
    monkeypatch.setattr(scripts, "sources", lambda: found)


def test_a_fold_whose_fields_differ_from_the_wire_contract_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, session__released="-- Gone.\n-- FIELDS: session_id:id why?:text\nreturn")
    with pytest.raises(ScriptError, match=r"session.released: its FIELDS and events.py differ in .*why"):
        compose("advance")


def test_a_field_of_another_kind_than_the_wire_contract_says_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, session__released="-- Gone.\n-- FIELDS: session_id:text\nreturn")
    with pytest.raises(ScriptError, match=r"session.released: its FIELDS and events.py differ in .*session_id"):
        compose("advance")


def test_a_source_that_leans_on_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, drop="-- KEYS: events\n-- ARGV: prefix cursor\n-- USES: thin_air\nreturn 0")
    with pytest.raises(ScriptError, match="drop uses thin_air, which does not exist below lua/"):
        compose("drop")


def test_sources_that_lean_on_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, want="-- USES: touch\nlocal x", touch="-- USES: want\nlocal y")
    with pytest.raises(ScriptError, match="in a circle"):
        compose("advance")


def test_every_event_of_the_contract_has_a_fold_and_every_fold_an_event() -> None:
    folds = {name for name, source in sources().items() if "FIELDS" in source.header}
    assert folds == set(EVENTS)
    assert not folds & set(facts())
    for name in folds:
        stated = dict(word.split(":") for word in sources()[name].header["FIELDS"])
        assert stated == field_kinds(EVENTS[name])


@pytest.mark.parametrize("kind", sorted(facts()))
def test_every_decision_is_documented_and_somebody_takes_it(kind: str) -> None:
    fold = Path(str(lua_root())) / "fold" / (kind.replace(".", "_") + ".lua")
    assert re.match(r"-- [A-Z].*", fold.read_text())
    deciding = [path for path in LUA if path.parent.name == "decide" and f"'{kind}'" in path.read_text()]
    assert deciding, f"no decision below lua/decide writes {kind}"


@pytest.mark.parametrize("path", LUA, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_lua_source_says_what_it_is_for(path: Path) -> None:
    remarks = [line for line in path.read_text().splitlines() if line.startswith("-- ")]
    sentences = [line for line in remarks if not scripts.HEADER.match(line)]
    assert sentences or path.stem in ("fold_event",), f"{path.name} opens with no sentence"


def test_every_error_code_has_one_class_and_a_sentence() -> None:
    for code, kind in ERRORS.items():
        assert kind.code == code
        assert (kind.__doc__ or "").strip().endswith(".")
    assert isinstance(error_of("INVALID_FIELD", "why"), InvalidField)
    strange = error_of("STRANGE", "things")
    assert type(strange) is SchedulerError
    assert "STRANGE things" in str(strange)
    assert str(ServerReadOnly("x")) == "READONLY: x"


def test_every_key_of_a_partition_shares_its_slot_and_its_prefix() -> None:
    keys = Keys("ns", 3)
    for name, shape in SHAPES.items():
        key = keys(name, *["x"] * shape.count("%s"))
        assert key.startswith("ns:{3}:")
        kept = ("events", "heartbeats", "dead", "dead_codes", "inbox", "reply", "ingress")
        assert keys.is_state(key) == (name not in kept)
    assert not keys.is_state("other:{3}:job:x")
    with pytest.raises(ValueError, match="give a name without braces"):
        Keys("a{b}")


@pytest.mark.anyio
async def test_a_server_that_forgot_the_scripts_is_sent_them_again(ledger: Ledger) -> None:
    await ledger.node()
    for job_id in ("j1", "j2"):
        await ledger.redis.script_flush()
        assert (await ledger.submit(job_id))["status"] == "dispatched"
        await ledger.redis.script_flush()
        await ledger.advance()


def test_a_source_uses_everything_that_its_header_says_it_uses() -> None:
    for source in sources().values():
        for name in set(source.header.get("USES", ())) - {"context"}:  # which everything shares
            defined = re.findall(r"^local (?:function )?([\w, ]+)", sources()[name].body, re.MULTILINE)
            names = {word.strip() for words in defined for word in words.split(",")}
            assert any(re.search(rf"\b{word}\b", source.body) for word in names), f"{source.name} does not use {name}"


def test_every_include_and_decision_is_used() -> None:
    used = {name for source in sources().values() for name in source.header.get("USES", ())}
    kinds = {f"check_{word.split(':')[1]}" for source in sources().values() for word in source.header.get("FIELDS", ())}
    entries = set(ENTRIES)
    folds = {source.name for source in sources().values() if {"FIELDS", "FACT"} & set(source.header)}
    assert set(sources()) - used - kinds - entries - folds == set()
