"""``streamsched explain``: why a job is where it is."""

from __future__ import annotations

from pathlib import Path

from ...console.explanation import _state, explanation_lines
from ...console.terminal import OK, as_json, say
from ...contract.errors import OutsideLog
from ...history.explain import explain
from ..options import Target


async def show_explanation(target: Target, job_id: str, archive: Path | None, offline: bool, json: bool) -> int:
    """Print why a job is where it is; returns the exit code.

    Raises:
        OutsideLog: nothing is known of the job; the text says what range the history has.
    """
    async with target.history(archive, offline) as history, _state(target, history, offline) as redis:
        found = await explain(redis, history, job_id)
        if found is None:
            raise OutsideLog(f"no event speaks of job {job_id!r}; the history holds {await history.held()}")
    if json:
        as_json(found)
    else:
        say("\n".join(explanation_lines(found)))
    return OK
