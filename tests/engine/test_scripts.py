"""The loader and its contract with the Lua sources, and the shape of the house."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import streamsched
from streamsched.contract.errors import ERRORS, InvalidField, SchedulerError, ServerReadOnly, error_of
from streamsched.contract.events import Affinity, JobStatus, Policy, SourceRole
from streamsched.contract.keys import SHAPES, Keys
from streamsched.contract.kinds import KINDS
from streamsched.contract.wire import EVENTS, field_kinds
from streamsched.engine import composition, symbols
from streamsched.engine.composition import Composition, compose
from streamsched.engine.script import script
from streamsched.engine.source import HEADER, ScriptError, Source, entries, facts, lua_root, sources
from streamsched.engine.symbols import chunk, library

from ..support.ledger import Ledger

PACKAGE = Path(streamsched.__file__).parent
LUA = sorted(Path(str(lua_root())).rglob("*.lua"))
PYTHON = sorted(PACKAGE.rglob("*.py"))


def test_the_scripts_are_those_that_python_calls() -> None:
    called = {name for path in PYTHON for name in re.findall(r"""(?:script|_call)\("(\w+)\"""", path.read_text())}
    assert set(entries()) == called


@pytest.mark.parametrize("name", entries())
def test_every_script_composes_into_one_text_with_its_keys_and_arguments_as_locals(name: str) -> None:
    text = compose(name)
    header = sources()[name].header
    given = {"KEYS": header.get("KEYS") or header["READS"], "ARGV": header["ARGV"]}
    found = re.findall(r"^local (\w+) = (KEYS|ARGV)\[(\d+)\]$", text, re.MULTILINE)  # those that the script uses
    assert found
    for local, table, n in found:
        assert given[table][int(n) - 1] == local
    assert not re.search(r"\b(key|limit)\.\w", text)


LUACHECK = shutil.which("luacheck")


@pytest.mark.skipif(LUACHECK is None, reason="luacheck is not installed: the gate installs it (lua-check)")
@pytest.mark.parametrize("name", entries())
def test_no_script_holds_an_unused_function_a_global_or_an_undefined_name(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.lua").write_text(compose(name))
    given = ["--read-globals", "redis", "cjson", "cmsgpack", "KEYS", "ARGV"]
    # a fold need not use its id, a local may have the name of an argument, a replay reads less than it remembers
    harmless = ["--ignore", "212", "231", "241", "431"]
    command = [
        str(LUACHECK),
        "--no-config",
        "--std",
        "lua51",
        "--no-max-line-length",
        "--codes",
        *given,
        *harmless,
        "--",
    ]
    outcome = subprocess.run([*command, f"{name}.lua"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout


def test_every_function_and_variable_of_the_libraries_is_used_by_some_script() -> None:
    used: set[str] = set()
    for name in entries():
        composition = Composition(name)
        everything = [*composition.shared, *(one for _, own, _ in composition.folds for one in own)]
        used |= {symbol for one in everything for symbol in one.names}
    assert set(library()) == used


@pytest.mark.parametrize("name", ["advance", "append"])
def test_a_call_makes_no_more_functions_than_it_did(name: str) -> None:
    """Each costs a call about 0.3 µs; those of the folds are made when they are first needed."""
    built_late = re.sub(r"^local function build.*?^setmetatable", "", compose(name), flags=re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"^local function ", built_late, re.MULTILINE)) <= 113


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
        ("refuse_event('NO_SUCH_CODE', 'detail')", "x: NO_SUCH_CODE is no code of errors.py"),
        ("return 'BROKEN because ' .. why", "x: BROKEN is no code of errors.py"),
        ("answers[n] = { 'BROKEN', why }", "x: BROKEN is no code of errors.py"),
        ('if a then refusal = "BROKEN because" end', "x: BROKEN is no code of errors.py"),
        ("rcall('HSETT', name)", "x: HSETT is no code of errors.py, and no word of Redis that the loader knows"),
        ("return 'caf\u00e9'", "x: a text is not ASCII"),
        ("-- ARGV: prefix batch:much\nreturn 1", "x: much is no kind of an argument"),
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
        ("return key.lang(a, f(b, c))", "return (prefix .. 'lang:' .. a .. ':' .. (f(b, c)))"),
        ("return key.pool_info(id)", "return (prefix .. 'pool:' .. id .. ':info')"),
        ("return key.job(a or '')", "return (prefix .. 'job:' .. (a or ''))"),
        ("return key.job(e.id)", "return (prefix .. 'job:' .. e.id)"),
        ("return key.group", "return 'fold'"),
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
    for module in (composition, symbols):
        monkeypatch.setattr(module, "sources", lambda: found)


def test_a_fold_whose_fields_differ_from_the_wire_contract_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, session__released="-- Gone.\n-- FIELDS: session_id:id why?:text\nreturn")
    with pytest.raises(ScriptError, match=r"session.released: its FIELDS and events.py differ in .*why"):
        compose("advance")


def test_a_field_of_another_kind_than_the_wire_contract_says_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, session__released="-- Gone.\n-- FIELDS: session_id:text\nreturn")
    with pytest.raises(ScriptError, match=r"session.released: its FIELDS and events.py differ in .*session_id"):
        compose("advance")


DROP = "-- KEYS: events\n-- ARGV: prefix cursor\nreturn "


def test_a_script_that_uses_a_name_which_nothing_defines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, drop_state=DROP + "thin_air(cursor)")
    with pytest.raises(ScriptError, match="drop_state uses thin_air, which is neither defined below lua/ nor a key"):
        compose("drop_state")


def test_a_script_that_reaches_a_key_which_it_is_not_given_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "return write_dead_letter('events', '1-1', {}, {})"
    changed(monkeypatch, drop_state=DROP.replace("cursor", "batch") + text)
    with pytest.raises(ScriptError, match="drop_state: plan/dead_letter uses dead, which is neither defined"):
        compose("drop_state")


def test_functions_that_use_each_other_in_a_circle_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(
        monkeypatch,
        a__b="local function one()\n  two()\nend\nlocal function two()\n  one()\nend",
        drop_state=DROP + "one()",
    )
    with pytest.raises(ScriptError, match="in a circle: one → two → one"):
        compose("drop_state")


def test_a_function_may_call_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, a__b="local function one(n)\n  return one(n)\nend", drop_state=DROP + "one(1)")
    assert compose("drop_state").count("local function one(n)") == 1


def test_a_name_that_is_defined_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, a__b="local function config()\nend")
    with pytest.raises(ScriptError, match=r"config is defined twice, in state/config and in a\.b"):
        compose("advance")


def test_a_local_that_hides_a_name_of_a_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, drop_state=DROP + "(function(config) return config end)(1)")
    with pytest.raises(ScriptError, match="drop_state: a local hides config, which state/config defines"):
        compose("drop_state")


def test_a_library_that_does_something_by_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, a__b="local x = 1\nrcall('TIME')")
    with pytest.raises(ScriptError, match="the top level of a library holds only local functions"):
        compose("advance")


def test_a_name_counts_as_used_only_where_it_stands_for_the_variable() -> None:
    one = chunk("x", "local a = b.c + { d = e, [f] = 'g' }\nh:i(1e5) -- j\nk, l = m, n\nreturn o==p..q")
    assert one.uses == ("b", "e", "f", "h", "k", "l", "m", "n", "o", "p", "q")
    assert one.declares == {"a"}


def test_words_to_choose_from_are_those_of_the_enumerations() -> None:
    enumerations = {"affinity": Affinity, "status": JobStatus, "role": SourceRole, "policy": Policy}
    assert {kind: KINDS[kind].bounds for kind in enumerations} == {kind: tuple(e) for kind, e in enumerations.items()}


def test_every_event_of_the_contract_has_a_fold_and_every_fold_an_event() -> None:
    folds = {name for name, source in sources().items() if "FIELDS" in source.header}
    assert folds == set(EVENTS)
    assert not folds & set(facts())
    for name in folds:
        stated = dict(word.split(":") for word in sources()[name].header["FIELDS"])
        assert stated == field_kinds(EVENTS[name])


@pytest.mark.parametrize("kind", sorted(facts()))
def test_every_decision_is_documented_and_has_code_that_takes_it(kind: str) -> None:
    fold = Path(str(lua_root())) / "fold" / (kind.replace(".", "_") + ".lua")
    assert re.match(r"-- [A-Z].*", fold.read_text())
    folders = ("decide", "call", "ingress")
    deciding = [path for path in LUA if path.parent.name in folders and f"'{kind}'" in path.read_text()]
    assert deciding, f"nothing writes {kind}"


@pytest.mark.parametrize("path", LUA, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_lua_source_says_what_it_is_for(path: Path) -> None:
    remarks = [line for line in path.read_text().splitlines() if line.startswith("-- ")]
    sentences = [line for line in remarks if not HEADER.match(line)]
    assert sentences, f"{path.name} opens with no sentence"


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
        kept = {
            "events",
            "heartbeats",
            "dead",
            "dead_codes",
            "dead_others",
            "dead_ordered",
            "dead_ordered_codes",
            "inbox",
            "reply",
            "ingress",
        }
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
