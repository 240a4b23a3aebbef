"""The model against the product: the same contract, the same folds of recorded logs, and fast enough for long ones."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from streamsched.archive.digest import StateDigest
from streamsched.contract.config import DEFAULTS
from streamsched.contract.wire import EVENTS, field_kinds
from streamsched.engine.source import facts

from ..golden.fold import recorded
from . import contract, fold
from .folds.registry import FOLDS
from .indexes import kind_of

MODEL = sorted(path for path in Path(__file__).parent.rglob("*.py") if not path.name.startswith("test_"))
GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*.ndjson"))


def test_the_model_shares_nothing_with_what_it_judges() -> None:
    for path in MODEL:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.startswith("streamsched") or "redis" in name], path.name


def test_the_model_knows_every_event_and_every_decision_with_its_fields() -> None:
    stated = {kind: dict(word.split(":") for word in row.split()) for kind, row in contract.EVENTS.items()}
    assert stated == {kind: field_kinds(event) for kind, event in EVENTS.items()}
    decided = {kind: [word.rstrip("?") for word in row.split()] for kind, row in contract.DECISIONS.items()}
    assert decided == facts()
    assert FOLDS.keys() == contract.EVENTS.keys() | contract.DECISIONS.keys()


def test_the_model_starts_from_the_same_configuration() -> None:
    assert {name: str(value) for name, value in contract.CONFIG.items()} | {"policy": "expected_finish"} == {
        name: str(value) for name, value in DEFAULTS.items()
    }


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_model_folds_the_log_of_a_release_to_its_digest_and_refuses_the_same_events(path: Path) -> None:
    log, digest = recorded(path)
    forged = {entry_id for entry_id, reason in log.buried.items() if reason.startswith("FORGED_DECISION ")}
    folded = fold(((entry.id, entry.flat) for entry in log.entries), forged)
    summed = StateDigest()
    for name, value in folded.state.items():
        summed.add(name, kind_of(name, value), value)
    assert summed.hexdigest() == digest
    assert folded.dead == {entry_id: reason.split()[0] for entry_id, reason in log.buried.items()}
