"""The alert rules and the Grafana dashboard: they ask for metrics that exist, and each alert fires when it should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

from streamsched.metrics.catalogue import CATALOGUE, PARTITION

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "streamsched.json").read_text())
PAGE = (DEPLOY.parent / "docs" / "metrics.md").read_text()
PROMTOOL = shutil.which("promtool")

ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
}
LABELS = {
    sample: {*PARTITION, *metric.labels, *({"le"} if sample.endswith("_bucket") else ())}
    for metric in CATALOGUE
    for sample in metric.samples
}
"""Which labels a sample has; ``tests/test_metrics.py`` compares the catalogue with what an exporter tells."""


def series(name: str, values: str, **labels: str) -> dict[str, str]:
    all_labels = {"scheduler": "s", "partition": "0", **labels}
    return {
        "series": f"streamsched_{name}{{{','.join(f'{key}={json.dumps(text)}' for key, text in all_labels.items())}}}",
        "values": values,
    }


def buckets(fast: str, slow: str) -> list[dict[str, str]]:
    """Jobs that waited less than a millisecond, and others that waited 5 to 10 s."""
    counts = {"0.001": fast, "5.0": fast, "10.0": slow, "+Inf": slow}
    return [series("job_stage_seconds_bucket", values, stage="waiting", le=le) for le, values in counts.items()]


FIRES: dict[str, tuple[list[dict[str, str]], dict[str, str], str]] = {
    "StreamschedNotMeasured": ([], {}, "No exporter of streamsched answers."),
    "StreamschedServerAway": ([series("server_up", "0x30")], {}, "The server of s/0 does not answer."),
    "StreamschedLogGap": (
        [series("partition_condition", "1x30", condition="gap")],
        {},
        "Entries of the log of s/0 are missing; no decision is taken.",
    ),
    "StreamschedLogWiped": (
        [series("partition_condition", "1x30", condition="wiped")],
        {},
        "The server has lost the log of s/0.",
    ),
    "StreamschedPartitionHalted": (
        [series("partition_condition", "0 1 0 1 1x26", condition="halted")],
        {},
        "The state of s/0 is not whole, and no worker has rebuilt it.",
    ),
    "StreamschedNoWorker": ([series("workers", "2x20 0x10")], {}, "No worker runs for s/0."),
    "StreamschedLagGrowing": (
        [series("lag_events", "0+100x30")],
        {},
        "s/0 is behind by 3k events, and the lag grows.",
    ),
    "StreamschedOverloaded": (
        [series("overload", "1x30", cause="memory")],
        {"cause": "memory"},
        "s/0 refuses submissions: too much memory.",
    ),
    "StreamschedEviction": ([series("eviction", "1x30")], {}, "The server of s/0 may evict keys of the partition."),
    "StreamschedClockAhead": (
        [series("clock_ahead_seconds", "120x30")],
        {},
        "The time of s/0 is 2m 0s ahead of the server's clock.",
    ),
    "StreamschedLogPinned": (
        [series("log_pinned_seconds", "90000x30")],
        {},
        "A job of s/0 has kept the log from being trimmed for 1d 1h 0m 0s.",
    ),
    "StreamschedMembersTooOld": (
        [series("members_too_old", "3x30")],
        {},
        "3 processes of s/0 are too old for the newest version of the folds.",
    ),
    "StreamschedSlowScripts": (
        [series("script_seconds", "0.05x30", quantile="0.99")],
        {},
        "One script call in a hundred takes 50ms and more on the server of s/0.",
    ),
    "StreamschedArchiveBehind": (
        [series("archive_behind_seconds", "0+60x30")],
        {},
        "The archive of s/0 is behind by 30m 0s.",
    ),
    "StreamschedNodesLost": (
        [series("nodes_expired_total", "7x25 8x5")],
        {},
        "Nodes of s/0 sent no heartbeat and lost their jobs.",
    ),
    "StreamschedNodesInTrouble": (
        [series("nodes_in_trouble", "2x30")],
        {},
        "2 nodes of s/0 say that something is wrong with them.",
    ),
    "StreamschedFleetShrunk": (
        [series("nodes_online", "40x20 19x10")],
        {},
        "Fewer than half as many nodes as within the last hour are online for s/0.",
    ),
    "StreamschedManyRequeued": (
        [series("jobs_requeued_total", "0+30x30"), series("jobs_dispatched_total", "0+100x30")],
        {},
        "More than a fifth of the dispatched jobs of s/0 come back.",
    ),
    "StreamschedSlowDispatch": (
        buckets("0+90x30", "0+100x30"),
        {},
        "One job in a hundred of s/0 waits 9.5s and more for its node.",
    ),
    "StreamschedPairUnserved": (
        [
            series("pair_jobs_waiting", "3x30", src_lang="sv", tgt_lang="fi"),
            series("pair_open_pools", "0x30", src_lang="sv", tgt_lang="fi"),
        ],
        {"src_lang": "sv", "tgt_lang": "fi"},
        "3 jobs of s/0 from sv to fi wait, and no node may receive them.",
    ),
    "StreamschedJobsFail": (
        [
            series("jobs_ended_total", "0+20x30", status="failed"),
            series("jobs_ended_total", "0+80x30", status="finished"),
        ],
        {},
        "More than a tenth of the jobs of s/0 fail.",
    ),
    "StreamschedJobsExhausted": (
        [series("decisions_total", "0x25 1x5", type="job.exhausted")],
        {},
        "Jobs of s/0 failed because no attempt was left.",
    ),
    "StreamschedDeadLetters": (
        [series("dead_letters_total", "0x25 1x5", code="STALE_ATTEMPT")],
        {"code": "STALE_ATTEMPT"},
        "s/0 refuses events: STALE_ATTEMPT.",
    ),
    "StreamschedSourceDropped": (
        [series("source_entries_dropped_total", "0x25 9x5")],
        {},
        "Sources of s/0 sent more than their limits allow, and entries were dropped.",
    ),
    "StreamschedExporterSkips": (
        [series("exporter_skipped_events_total", "0x25 9x5")],
        {},
        "The exporter of s/0 cannot keep up; its counts by type and its durations are incomplete.",
    ),
}
"""What makes each alert fire after half an hour, its labels, and its text."""

ALL_IS_WELL = [
    series("server_up", "1x30"),
    series("partition_condition", "1x30", condition="ok"),
    series("partition_condition", "0x30", condition="gap"),
    series("partition_condition", "0 1 0x28", condition="rebuilding"),
    series("workers", "1 0 2x28"),
    series("lag_events", "0 5000 0x28"),
    series("clock_ahead_seconds", "5x30"),
    series("log_pinned_seconds", "7200x30"),
    series("members_too_old", "2x5 0x25"),
    series("overload", "0x30", cause="waiting"),
    series("script_seconds", "0.002x30", quantile="0.99"),
    series("script_seconds", "0.2x30", quantile="0.999"),
    series("archive_behind_seconds", "30x30"),
    series("nodes_expired_total", "7x30"),
    series("nodes_online", "40x20 30x10"),
    series("jobs_requeued_total", "0+10x30"),
    series("jobs_dispatched_total", "0+100x30"),
    *buckets("0+100x30", "0+100x30"),
    series("pair_jobs_waiting", "3x30", src_lang="sv", tgt_lang="fi"),
    series("pair_open_pools", "1x30", src_lang="sv", tgt_lang="fi"),
    series("pair_jobs_waiting", "9x30", src_lang="other", tgt_lang="other"),
    series("jobs_ended_total", "0+5x30", status="failed"),
    series("jobs_ended_total", "0+95x30", status="finished"),
    series("dead_letters_total", "5x30", code="STALE_ATTEMPT"),
    series("source_entries_dropped_total", "9x30"),
    series("exporter_skipped_events_total", "9x30"),
]


@pytest.fixture
def promtool(tmp_path: Path) -> Callable[..., None]:
    """Prometheus' own tool: run it, and expect that it is content."""
    if PROMTOOL is None:
        pytest.skip("promtool is not installed: the gate installs it and runs this test there")

    def run(*arguments: str | Path) -> None:
        done = subprocess.run([PROMTOOL, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def test_the_rules_and_the_configuration_are_what_prometheus_understands(promtool: Callable[..., None]) -> None:
    promtool("check", "rules", RULES)
    promtool("check", "config", DEPLOY / "prometheus" / "prometheus.yml")


def test_every_alert_fires_when_it_should_and_none_while_all_is_well(
    promtool: Callable[..., None], tmp_path: Path
) -> None:
    assert FIRES.keys() == ALERTS.keys()
    tests: list[dict[str, Any]] = []
    for name, (given, labels, summary) in FIRES.items():
        own = {"scheduler": "s", "partition": "0"} if given else {}
        expected = {
            "exp_labels": {**own, **labels, **ALERTS[name]["labels"]},
            "exp_annotations": {"summary": summary},
        }
        tests.append({"input_series": given, "alerts": [(name, [expected])]})
    tests.append({"input_series": ALL_IS_WELL, "alerts": [(name, []) for name in FIRES]})
    file = {
        "rule_files": [str(RULES)],
        "tests": [
            {
                "interval": "1m",
                "input_series": test["input_series"],
                "alert_rule_test": [
                    {"eval_time": "30m", "alertname": name, "exp_alerts": expected} for name, expected in test["alerts"]
                ],
            }
            for test in tests
        ],
    }
    (tmp_path / "test.json").write_text(json.dumps(file))  # which is YAML, too
    promtool("test", "rules", "test.json")


# --- what they ask for


def wants(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric an expression asks for, with the labels it expects of it."""
    grouped: set[str] = set()
    selectors = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql.AggregateExpr) and node.modifier:
            grouped.update(node.modifier.labels)
        if isinstance(node, promql.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql.VectorSelector):
            selectors.append(node)
        return True

    promql.walk(promql.parse(expression), visit)
    assert selectors, f"{expression} asks for nothing"
    for selector in selectors:
        assert selector.name, expression
        yield selector.name, grouped | {matcher.name for matcher in selector.matchers.matchers}


def exist(expression: str) -> None:
    """Make sure that an expression asks only for what an exporter tells."""
    for name, labels in wants(expression):
        assert name in LABELS, f"{name} is no metric: {expression}"
        assert labels <= LABELS[name], f"{name} has no label {labels - LABELS[name]}: {expression}"


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_asks_for_what_exists(name: str) -> None:
    exist(ALERTS[name]["expr"])


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


VARIABLES = {"$__rate_interval": "5m", "$scheduler": "s", "$partition": "0"}


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_asks_for_what_exists(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        expression = target["expr"]
        for variable, value in VARIABLES.items():
            expression = expression.replace(variable, value)
        assert "$" not in expression, f"{target['expr']} has a variable that is never set"
        exist(expression)
        assert "instance" not in expression
        for selected in re.findall(r"streamsched_\w+{([^}]*)}", expression):
            assert 'scheduler="s",partition="0"' in selected
        grouped = {label for _, labels in wants(expression) for label in labels}
        assert set(re.findall(r"{{(\w+)}}", target.get("legendFormat", ""))) <= grouped


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    every = DASHBOARD["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    places: set[tuple[int, int]] = set()
    for panel in every:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places, f"{panel['title']} lies upon another panel"
        places |= cells
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert panel["description"]
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert set(variables) == {"datasource", "scheduler", "partition"}
    for name in ("scheduler", "partition"):
        asked = re.search(r"label_values\((\w+)({.*})?, (\w+)\)", variables[name]["definition"])
        assert asked
        assert asked[3] == name in LABELS[asked[1]]


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    expressions = [target["expr"] for panel in panels() for target in panel["targets"]]
    expressions += [rule["expr"] for rule in ALERTS.values()]
    asked = set(re.findall(r"streamsched_\w+", " ".join(expressions)))
    for metric in CATALOGUE:
        assert asked & set(metric.samples), f"nothing shows {metric.name}"


def test_the_page_says_of_every_alert_what_it_means_and_what_to_do() -> None:
    rows = re.findall(r"^\| `(Streamsched\w+)` \| (\w+) \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert [(name, severity) for name, severity, _, _ in rows] == [
        (name, rule["labels"]["severity"]) for name, rule in ALERTS.items()
    ]
