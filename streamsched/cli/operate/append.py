"""``streamsched append``: append events from flags or NDJSON to the log, in order."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Annotated, NamedTuple

import anyio
import anyio.to_thread
import msgspec
import typer
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from ...console.remedies import with_remedy
from ...console.terminal import OK, REFUSED, UNREACHABLE, UsageProblem, complain, say
from ...console.terminal import as_json as print_json
from ...contract.errors import InvalidField, SchedulerError, ServerUnreachable
from ...contract.wire import wire_value
from ...engine.partition import Partition
from ...engine.replies import Answer
from ...sanitize import mask
from .. import completion
from ..options import Json, Source, Target, command

CHUNK = 2**16
IN_FLIGHT = 1024
"""Lines in flight at the same time; the partition groups them into calls."""

LONGEST_LINE = 2**23
"""Most bytes of a line; the largest payload fits even if every byte is escaped."""


@command("streamsched append node.cordoned node_id=n1 reason=hot")
async def append(
    target: Target,
    event: Annotated[
        str,
        typer.Argument(
            metavar="TYPE|-",
            help="Type of the event, or - for NDJSON on stdin.",
            autocompletion=completion.event_types,
        ),
    ],
    fields: Annotated[
        list[str] | None, typer.Argument(metavar="FIELD=VALUE...", autocompletion=completion.fields)
    ] = None,
    source: Source = None,
    json: Json = False,
) -> int:
    """Append events to the log. On stdin: one JSON object per line, "type" and fields, sent in order. A refused line is
    reported; the others go through. Exit code 1 if any was refused. To be able to send an event again, give it a
    request_id (a job: a job_id): it takes effect once."""

    if event == "-" and fields:
        raise UsageProblem("- takes no fields: put them into the lines on stdin")
    flat = [] if event == "-" else flat_arguments(event, fields or [])
    async with target.speak(source) as partition:
        return await (append_one(partition, flat, json) if flat else append_lines(partition, json))


class Line(NamedTuple):
    """One event on its way, or the reason why it was not sent."""

    number: int
    event: str
    pending: asyncio.Future[Answer] | SchedulerError


class Report(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The outcome of one line."""

    line: int
    accepted: bool
    type: str = ""
    id: str = ""
    """Id of the log entry."""
    job_id: str = ""
    status: str = ""
    """Id of the job, after a submission."""
    code: str = ""
    detail: str = ""


class Summary(msgspec.Struct, kw_only=True):
    """The summary of an NDJSON run."""

    accepted: int
    refused: int


def flat_event(event: object) -> list[str]:
    """Flatten a JSON object to ``[type, …, field, value, …]``. Text, whole numbers and true/false keep their
    value, null is left out, and an object or a list under a key that ends in ``_json`` is encoded.

    Raises:
        InvalidField: it is not an object, it has no type, or a value cannot be encoded; the text names the field.
    """
    if not isinstance(event, dict):
        raise InvalidField('the line is not a JSON object: give {"type": "node.cordoned", "node_id": "n1"}')
    if not isinstance(event.get("type"), str):
        raise InvalidField('type is missing or not text: add, for example, "type": "node.cordoned"')
    flat = ["type", event["type"]]
    for field, value in event.items():
        if field == "type" or value is None:
            continue
        if isinstance(value, dict | list):
            if not field.endswith("_json"):
                raise InvalidField(f"{field} is nested: give text, a number or true/false, or rename it {field}_json")
            flat += (field, msgspec.json.encode(value).decode())
        else:
            flat += (field, wire_value(field, value))
    return flat


def flat_arguments(kind: str, pairs: Iterable[str]) -> list[str]:
    """Flatten ``TYPE field=value …`` from the command line.

    Raises:
        UsageProblem: a pair has no ``=``, or a field is given twice.
    """
    flat, seen = ["type", kind], {"type"}
    for pair in pairs:
        field, equals, value = pair.partition("=")
        if not equals or not field:
            raise UsageProblem(f"{pair!r} is not field=value: write, for example, node_id=n1")
        if field in seen:
            raise UsageProblem(f"{field} is given twice: give it once")
        seen.add(field)
        flat += (field, value)
    return flat


async def append_one(partition: Partition, flat: list[str], as_json: bool) -> int:
    """Append one event and report; returns the exit code.

    Raises:
        ServerUnreachable: no server answered in time.
    """
    pending = partition.append_soon(flat)
    report = await _settle(Line(1, flat[1], pending))
    _print(report, as_json, numbered=False)
    return OK if report.accepted else REFUSED


async def append_lines(partition: Partition, as_json: bool) -> int:
    """Append the events on stdin, one JSON object per line, and report each refused line (with ``as_json``: every
    line); returns the exit code. A line that cannot be sent does not stop the others."""
    accepted = refused = 0
    send, receive = anyio.create_memory_object_stream[Line](IN_FLIGHT)
    code = OK
    async with anyio.create_task_group() as reading, receive:
        reading.start_soon(_read, partition, send)
        async for line in receive:
            try:
                report = await _settle(line)
            except ServerUnreachable as problem:
                complain(f"line {line.number}: {mask(str(problem))}; this line and later ones may have arrived")
                code = UNREACHABLE
                reading.cancel_scope.cancel()
                _abandon(receive)
                break
            accepted, refused = accepted + report.accepted, refused + (not report.accepted)
            _print(report, as_json, numbered=True)
    if as_json:
        print_json(Summary(accepted=accepted, refused=refused))
    else:
        say(f"{accepted} accepted, {refused} refused")
    return code or (REFUSED if refused else OK)


def _abandon(receive: MemoryObjectReceiveStream[Line]) -> None:
    with suppress(anyio.WouldBlock, anyio.EndOfStream):
        while True:
            line = receive.receive_nowait()
            if isinstance(line.pending, asyncio.Future):
                line.pending.cancel()


async def _read(partition: Partition, send: MemoryObjectSendStream[Line]) -> None:
    async with send:
        number = 0
        async for text in _lines():
            number += 1
            if not text.strip():
                continue
            event = ""
            try:
                if len(text) > LONGEST_LINE:
                    raise InvalidField(f"the line is longer than {LONGEST_LINE} bytes: shorten it")
                flat = flat_event(msgspec.json.decode(text))
                event = flat[1]
                pending = partition.append_soon(flat)
                await send.send(Line(number, event, pending))
            except (msgspec.DecodeError, UnicodeDecodeError) as problem:
                unusable = InvalidField(f"the line is no JSON ({problem}): give one JSON object per line, in UTF-8")
                await send.send(Line(number, event, unusable))
            except InvalidField as problem:
                await send.send(Line(number, event, problem))


async def _lines() -> AsyncIterator[bytes]:
    """Yield the lines of stdin as they arrive; of an overlong line only the first part, to bound the memory."""
    rest, stdin = b"", sys.stdin.buffer.fileno()
    while chunk := await anyio.to_thread.run_sync(os.read, stdin, CHUNK, abandon_on_cancel=True):
        head, newline, tail = chunk.rpartition(b"\n")
        if not newline:
            rest = (rest + chunk)[: LONGEST_LINE + 1]
            continue
        for line in (rest + head).split(b"\n"):
            yield line
        rest = tail
    if rest:
        yield rest


async def _settle(line: Line) -> Report:
    try:
        if isinstance(line.pending, SchedulerError):
            raise line.pending
        answer = await line.pending
    except ServerUnreachable:
        raise
    except SchedulerError as problem:
        detail = mask(problem.detail)
        return Report(line=line.number, accepted=False, type=line.event, code=problem.code, detail=detail)
    job_id, status = answer.job[:2] if answer.job else ("", "")
    return Report(line=line.number, accepted=True, type=line.event, id=answer.event_id, job_id=job_id, status=status)


def _print(report: Report, as_json: bool, numbered: bool) -> None:
    where = f"line {report.line}: " if numbered else ""
    if as_json:
        print_json(report)
    elif not report.accepted:
        complain(f"{where}{with_remedy(report.code, report.detail)}")
    elif not numbered:
        say(" ".join(filter(None, (report.id, report.job_id, report.status))))
