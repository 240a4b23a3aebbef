"""Guards of what comes twice: it takes effect once."""

from __future__ import annotations

from typing import Any

from ...support.planting import Bug

REPEATS = [
    Bug(
        "a submission is known by its job_id",
        "the second one starts the job over",
        "state/repeat",
        "rcall('EXISTS', key.job(job_id)) == 0",
        "true",
    ),
    Bug(
        "a submission under a known job_id with other content is refused",
        "one of two jobs is lost silently",
        "state/repeat",
        "field ~= 'reply_to' and field ~= 'traceparent' and (stored[i] or nil) ~= e[field]",
        "false",
    ),
    Bug(
        "the repeat of a completion changes nothing",
        "its sender gets a refusal as too late",
        "state/repeat",
        "job.status == status and",
        "false and",
    ),
    Bug(
        "the repeat of a failed attempt's word changes nothing",
        "it is refused, or fails the next attempt",
        "state/repeat",
        "attempt and status == 'failed' and",
        "false and",
    ),
    Bug(
        "an append carries an identity before it is sent",
        "the repeat of an append is a second job",
        "tests.simulator.actors.speaker.repeatable",
        instead=lambda flat: flat,
    ),
    Bug(
        "a job_id is chosen before the first try",
        "each try is another job",
        "tests.simulator.actors.speaker.Speaker.repeat",
        instead=lambda self: _repeat_under_another_name(self),
    ),
    Bug(
        "a request_id is remembered",
        "the repeat of an operator's word takes effect again",
        "state/repeat",
        "if rcall('ZSCORE', key.requests, request) then",
        "if false then",
    ),
]


def _repeat_under_another_name(speaker: Any) -> None:
    if speaker.unsure:
        events, raw, stream = speaker.unsure.pop()
        fresh = f"again{speaker.world.rng.getrandbits(32)}"
        speaker.send([event | ({"job_id": fresh} if "job_id" in event else {}) for event in events], raw, stream)
