"""The first lines: the condition of the partition, and its counters."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from ..console.overview import CONDITION, ENDED, IN_FLOW, TOO_MUCH
from ..sanitize import mask, one_line
from .tables import HEALTH


def head(sections: dict[str, Any]) -> Text:
    """Return them."""
    p, counters = sections["partition"], sections.get("counters", {})
    lag = "unknown" if p["lag"] is None else p["lag"]
    line = Text.assemble(
        (f"{p['namespace']}:{{{p['partition']}}}", "bold"),
        "  ",
        (p["condition"], CONDITION[p["condition"]]),
        f"  lag {lag}  folded {p['folded']:,}  workers {'unknown' if p['workers'] is None else p['workers']}  ",
        (f"dead letters {p['open_letters']}", "red" if p["open_letters"] else ""),
    )
    flows = (Text("  ".join(f"{name} {counters.get(name, 0):,}" for name in names)) for names in (IN_FLOW, ENDED))
    lines = [line, *flows]
    health = sections.get("health", {})
    lines.append(Text("nodes").append_text(_health(health)))
    lines += [Text(one_line(text), style) for text, style in _troubles(sections)]
    return Text("\n").join(lines)


def _health(totals: dict[str, int]) -> Text:
    parts = Text()
    for letter, (word, style) in HEALTH.items():
        count = totals.get(letter, 0)
        parts.append(f"  {word} ").append(f"{count:,}", style if count else "dim")
    return parts


def _troubles(sections: dict[str, Any]) -> list[tuple[str, str]]:
    p, history = sections["partition"], sections.get("history", {})
    found = []
    if sections.get("away"):
        found.append((f"no answer from the server: {mask(sections['away']['problem'])}", "bold red"))
    if p["trouble"]:
        found.append((p["trouble"], "red"))
    found += [(warning, "red") for warning in p["warnings"]]
    if p["overload"]:
        causes = ", ".join(TOO_MUCH[cause] for cause in p["overload"])
        found.append((f"overloaded: {causes}; {p['shed']} submissions were refused", "yellow"))
    troubles = sections.get("troubles", {"total": 0, "nodes": []})
    found += [(f"node {node_id} is in trouble: {trouble}", "red") for node_id, trouble in troubles["nodes"]]
    if more := max(0, troubles["total"] - len(troubles["nodes"])):
        found.append((f"… and {more} more nodes in trouble", "red"))
    if p["workers"] == 0:
        found.append(("no worker runs: start `streamsched worker`", "yellow"))
    if history.get("read", 0) < history.get("count", 0) and not history.get("trouble"):
        found.append((f"reading the history: {history['read']:,} of {history['count']:,}", "dim"))
    return found
