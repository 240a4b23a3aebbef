"""All refusals: one row for each wire code, shared by Lua, Python and the dead letters.

Lua raises a code with ``fail('CODE', detail)`` or ``redis.error_reply('CODE detail')``; the loader refuses a
script that uses a code missing here, and Python raises the exception of the row.
"""

from __future__ import annotations

import enum
import re
from typing import ClassVar


class About(enum.Enum):
    """The subject of a refusal, and so who acts on it."""

    EVENT = "event"
    """This event: sending it again is refused again. Its sender corrects it."""
    PARTITION = "partition"
    """The partition cannot fold now. The event was not judged; it is sent again when the partition is whole."""
    SERVER = "server"
    """The server cannot read or write now. The event was not judged; it is sent again when the server can."""
    RIGHTS = "rights"
    """The server's ACL or login refused the user. The event was not judged; an operator restores the right."""


class SchedulerError(Exception):
    """A call was refused. ``code`` is the wire code, ``detail`` names the field or key and the remedy."""

    code: ClassVar[str] = "SCHEDULER_ERROR"
    about: ClassVar[About] = About.EVENT

    def __init__(self, detail: str = "") -> None:
        super().__init__(f"{self.code}: {detail}" if detail else self.code)
        self.detail = detail


class InvalidField(SchedulerError):
    """A field is missing, empty, too long, not UTF-8, or not of its type."""

    code = "INVALID_FIELD"


class UnknownEventType(SchedulerError):
    """No event of this type exists in the contract."""

    code = "UNKNOWN_TYPE"


class UnsupportedVersion(SchedulerError):
    """The event is of a newer version than this program can read: upgrade the workers first."""

    code = "UNSUPPORTED_VERSION"


class ForgedDecision(SchedulerError):
    """An event that only ``advance`` may write came from outside."""

    code = "FORGED_DECISION"


class NotPermitted(SchedulerError):
    """The sender may not do this: the server's ACL or the role of the source forbids it."""

    code = "NOT_PERMITTED"


class ServerForbids(NotPermitted):
    """The server's ACL does not permit a command or a key: ``streamsched acl ROLE`` prints what a role needs."""

    about = About.RIGHTS


class InternalError(SchedulerError):
    """A fold failed on this event: a bug in streamsched. The event is kept as a dead letter."""

    code = "INTERNAL"


class UnknownSource(SchedulerError):
    """No source of this name is admitted, or was until lately."""

    code = "UNKNOWN_SOURCE"


class UnknownNode(SchedulerError):
    """The node has never registered, or was retired: it registers again."""

    code = "UNKNOWN_NODE"


class QuotaExceeded(SchedulerError):
    """The source has as many jobs that have not ended, or as many bytes in their payloads, as it may."""

    code = "QUOTA_EXCEEDED"


class NodeInUse(SchedulerError):
    """The node is online or still holds jobs: it cannot be retired now."""

    code = "NODE_IN_USE"


class NodeSuperseded(SchedulerError):
    """Another process has registered under this node's id since: this one must stop, or take an id of its own."""

    code = "NODE_SUPERSEDED"


class NoPoolForLangPair(SchedulerError):
    """No pool serves the language pair."""

    code = "NO_POOL_FOR_LANG_PAIR"


class EmptyPool(SchedulerError):
    """Pools serve the pair, but no node is a member of any of them."""

    code = "EMPTY_POOL"


class NoAvailableNode(SchedulerError):
    """The pair's pools have members, but none of them may receive a job now."""

    code = "NO_AVAILABLE_NODE"


class Paused(SchedulerError):
    """An operator has paused the language pair, or every pool that could serve it: the job may wait (``submit``)."""

    code = "PAUSED"


class UnknownPool(SchedulerError):
    """No node ever registered for a pool of this id."""

    code = "UNKNOWN_POOL"


class UnknownJob(SchedulerError):
    """No such job: never submitted, refused, or already past its retention."""

    code = "UNKNOWN_JOB"


class JobConflict(SchedulerError):
    """The ``job_id`` was submitted before with other content."""

    code = "JOB_CONFLICT"


class NodeMismatch(SchedulerError):
    """Another node holds the job."""

    code = "NODE_MISMATCH"


class StaleAttempt(SchedulerError):
    """The job has moved on since this attempt was dispatched."""

    code = "STALE_ATTEMPT"


class AlreadyTerminal(SchedulerError):
    """The job has ended, and an ended job never changes again."""

    code = "ALREADY_TERMINAL"


class Overloaded(SchedulerError):
    """Overload: too many jobs wait, the server's memory is nearly full, or the fold is far behind."""

    code = "OVERLOADED"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        found = re.search(r"retry_after_ms=(\d+)", detail)
        self.retry_after_ms = int(found[1]) if found else 1000
        """Time after which to submit again, ms; with many senders, add a random delay."""


class UnknownLetter(SchedulerError):
    """No dead letter has this id."""

    code = "UNKNOWN_LETTER"


class NotRetryable(SchedulerError):
    """The event of a dead letter cannot be appended again; the text holds the reason and the remedy."""

    code = "NOT_RETRYABLE"


class PartitionHalted(SchedulerError):
    """A script was torn, or a key of the state was overwritten; a worker rebuilds the partition from its log."""

    code = "HALTED"
    about = About.PARTITION


class PartitionRebuilding(SchedulerError):
    """The state is being rebuilt from the log; calls succeed again as soon as it is whole."""

    code = "REBUILDING"
    about = About.PARTITION


class LogGap(SchedulerError):
    """Entries were trimmed or deleted from the log before they were folded."""

    code = "GAP"
    about = About.PARTITION


class LogWiped(SchedulerError):
    """The server has lost the log: it was flushed, or replaced by an empty one. Nothing is folded until an operator has
    restored the log with ``streamsched rebuild --from DIR --replace``."""

    code = "WIPED"
    about = About.PARTITION

    @classmethod
    def of(cls, lost: str, found: str | None) -> LogWiped:
        """Return the error for a log whose first event was ``lost``, where one that begins with ``found`` is now."""
        another = f", another began at {found}" if found else ""
        return cls(
            f"the log that began at {lost} is gone{another}: the server was flushed or replaced. Restore it with "
            "`streamsched rebuild --from ARCHIVE --replace`; `streamsched rebuild --forget` gives it up"
        )


class ServerOutOfMemory(SchedulerError):
    """The server has reached ``maxmemory``: free memory or raise the limit. Nothing was written."""

    code = "OOM"
    about = About.SERVER


class ServerReadOnly(SchedulerError):
    """The server is a replica: connect to the primary. Nothing was written."""

    code = "READONLY"
    about = About.SERVER


class ServerCannotReplicate(SchedulerError):
    """The server lacks the replicas that its ``min-replicas-to-write`` asks for: repair them. Nothing was written."""

    code = "NOREPLICAS"
    about = About.SERVER


class ServerCannotPersist(SchedulerError):
    """The server refuses writes because its last save or append to disk failed: repair the disk. Nothing was
    written."""

    code = "MISCONF"
    about = About.SERVER


class WrongKeyType(SchedulerError):
    """A key of the log holds another type: rename it, or choose another ``--namespace``."""

    code = "WRONGTYPE"
    about = About.SERVER


class ServerTooOld(SchedulerError):
    """The server lacks what the scripts need: Redis 7.0 or Valkey 7.2 at least."""

    code = "SERVER_TOO_OLD"
    about = About.SERVER


class ServerUnreachable(SchedulerError):
    """No server answered within the time given. An append in flight may or may not have happened."""

    code = "UNREACHABLE"
    about = About.SERVER


class ResultTimeout(SchedulerError):
    """The job did not end within the caller's timeout. The job itself continues."""

    code = "RESULT_TIMEOUT"


class SchedulerClosed(SchedulerError):
    """The connection was closed during a wait for a result. The job continues."""

    code = "CLOSED"


class ArchiveDamaged(SchedulerError):
    """An archive is missing a part, was altered, or belongs to another partition; the text names the file."""

    code = "ARCHIVE"


class ArchiveLocked(SchedulerError):
    """Another archiver writes to the same folder."""

    code = "ARCHIVE_LOCKED"


class LogFork(SchedulerError):
    """The log and its archive hold different entries, as after a failover that lost the log's end."""

    code = "FORK"


class NewerLog(SchedulerError):
    """A newer version of streamsched has folded the log: this program must not touch its state. Upgrade it."""

    code = "NEWER_LOG"
    about = About.PARTITION


class OutsideLog(SchedulerError):
    """The log has no event at that id or time, or of that name; the text holds the range of the log."""

    code = "OUTSIDE_LOG"


class ScratchIsLive(SchedulerError):
    """The scratch server is the one that holds the live partition, or is not empty."""

    code = "SCRATCH_IS_LIVE"


class JobFailed(Exception):
    """Raise this in a node's handler: the attempt fails with this text, without a traceback."""


ERRORS: dict[str, type[SchedulerError]] = {
    error.code: error
    for error in (
        InvalidField,
        UnknownEventType,
        UnsupportedVersion,
        ForgedDecision,
        NotPermitted,
        InternalError,
        UnknownSource,
        UnknownNode,
        NodeInUse,
        QuotaExceeded,
        NodeSuperseded,
        NoPoolForLangPair,
        EmptyPool,
        NoAvailableNode,
        Paused,
        UnknownPool,
        UnknownJob,
        JobConflict,
        NodeMismatch,
        StaleAttempt,
        AlreadyTerminal,
        Overloaded,
        UnknownLetter,
        NotRetryable,
        PartitionHalted,
        PartitionRebuilding,
        LogGap,
        LogWiped,
        ServerOutOfMemory,
        ServerReadOnly,
        ServerCannotReplicate,
        ServerCannotPersist,
        WrongKeyType,
        ServerTooOld,
        ServerUnreachable,
        ResultTimeout,
        SchedulerClosed,
        ArchiveDamaged,
        ArchiveLocked,
        LogFork,
        NewerLog,
        OutsideLog,
        ScratchIsLive,
    )
}


def error_of(code: str, detail: str = "") -> SchedulerError:
    """Return the exception of a wire code; an unknown code keeps its text in a plain ``SchedulerError``."""
    kind = ERRORS.get(code)
    return kind(detail) if kind else SchedulerError(f"{code} {detail}".strip())


def passes(problem: BaseException) -> bool:
    """Return whether a refusal is not about the event, and may pass by waiting; a gap or a lost log does not."""
    lasting = LogGap | LogWiped | NewerLog | ServerTooOld | WrongKeyType
    about = problem.about if isinstance(problem, SchedulerError) else None
    return about in (About.PARTITION, About.SERVER) and not isinstance(problem, lasting)


def is_of_event(problem: BaseException) -> bool:
    """Return whether a problem is about the event: then sending it again does not help."""
    return isinstance(problem, SchedulerError) and problem.about is About.EVENT
