"""An explanation as lines."""

from __future__ import annotations

from ..history.explain import Explanation
from ..sanitize import one_line
from .events import moment


def explanation_lines(found: Explanation) -> list[str]:
    """Return an explanation as lines for the terminal."""
    lines = [f"{found.job_id} is {found.status}: {found.summary}"]
    for n, attempt in enumerate(found.attempts, 1):
        where = f"node {attempt.node_id} of pool {attempt.pool_id}"
        lines.append(f"  attempt {n}, {moment(attempt.ts)}: {where}, {attempt.why}")
        if attempt.end:
            lines.append(f"    {attempt.end}")
    for pool in found.pools:
        paused = ", paused" if pool.paused else ""
        lines.append(f"  pool {pool.pool_id}, {pool.members_total} members{paused}:")
        lines += [f"    {one.node_id}: {'; '.join(one.against) or 'may receive it'}" for one in pool.members]
        if pool.members_total > len(pool.members):
            lines.append(f"    … and {pool.members_total - len(pool.members)} more")
    return [one_line(line) for line in lines]
