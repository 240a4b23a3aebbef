"""What the log is about: nodes, pools, jobs, sessions and the configuration. No index, nothing said twice."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from .contract import CONFIG, FIRST_WINDOW, LAST_WINDOW, NO_ROOM

HELD = ("dispatched", "running")
TERMINAL = ("finished", "failed", "cancelled", "expired", "refused")


@dataclass(slots=True)
class Node:
    """A machine that has registered. ``None``: never said, or taken back."""

    since_ts: int
    cap_json: str = ""
    pool_names_json: str | None = None
    mailbox: str | None = None
    pools: list[str] = field(default_factory=list)
    incarnation: str = ""
    online: bool = False
    accepting: bool = True
    cordoned: bool = False
    cordon_reason: str | None = None
    window: int = FIRST_WINDOW
    full_at: int | None = None
    room: int | None = None
    """How many assignments it takes beside those that it has begun, as it said last, and counted on since then."""
    room_ts: int | None = None
    speed: int | None = None
    """1024: as fast as the mean of the pairs that it serves; more is slower."""
    samples: int = 0
    learned_ts: int | None = None
    held: set[str] = field(default_factory=set)
    """Jobs it was given and has not ended or handed back."""
    unread: set[str] = field(default_factory=set)
    """Those of them that came through its inbox and that it has not started."""

    def forget_size(self) -> None:
        """Forget what it said or showed of its size."""
        self.full_at = self.room = self.room_ts = None

    @property
    def rank(self) -> int:
        """Its place among the nodes that may receive a job: its speed to two bits behind the first."""
        if self.room is None:
            return NO_ROOM
        speed = 1024 if self.speed is None else self.speed
        return speed - speed % (1 << max(speed.bit_length() - 3, 0))

    def count_room(self, by: int) -> None:
        """Count a job that began on it, or is over, where it says its room."""
        if self.room is not None:
            self.room += by

    @property
    def is_open(self) -> bool:
        """Whether it may receive a job now."""
        accepts = self.online and self.accepting and not self.cordoned
        most = self.window if self.room is None else min(self.room, LAST_WINDOW)
        return accepts and len(self.unread) < most and (self.full_at is None or len(self.held) < self.full_at)


@dataclass(slots=True)
class Pool:
    """A set of nodes that serve a set of languages; who belongs to it is what the nodes say."""

    name: str
    languages: list[str]
    empty_ts: int = 0
    """Since when it has had no member, if it has none."""
    source: str | None = None
    """The source that created it, and as how many language pairs it counts for it."""

    @property
    def language_set(self) -> str:
        """Its languages in order, whatever the order of its name."""
        return " ".join(sorted(self.languages))

    def serves(self, src: str, tgt: str) -> bool:
        """Whether it translates between the two."""
        return src != tgt and src in self.languages and tgt in self.languages


@dataclass(slots=True)
class Job:
    """A piece of work, from its submission until its retention is over. ``None``: has not happened."""

    asked: dict[str, str]
    """The fields of its submission that it is known by, as they came."""
    submit_id: str
    order: int
    created_ts: int
    timer: str = ""
    """What happens at ``due_ts``: ``decide``, ``retry``, ``due``, ``accept``, ``run``; empty: nothing."""
    due_ts: int = 0
    source: str | None = None
    """The source that submitted it."""
    result_source: str | None = None
    """The source of the node that its result counts for."""
    status: str = "created"
    node_id: str | None = None
    pool_id: str | None = None
    attempt: str | None = None
    attempts: int = 0
    misses: int = 0
    excluded: list[str] = field(default_factory=list)
    begun: bool = False
    """Whether the attempt that was just handed back may have begun."""
    begun_on: list[str] = field(default_factory=list)
    """The nodes of the attempts that began and came to nothing."""
    cause: str | None = None
    error: str | None = None
    failed_attempt: str | None = None
    requests: list[str] = field(default_factory=list)
    """What its node has said of it under a name of its own: the last of them."""
    progress_json: str | None = None
    result_json: str | None = None
    dispatched_ts: int | None = None
    started_ts: int | None = None
    progressed_ts: int | None = None
    finished_ts: int | None = None

    @property
    def payload_bytes(self) -> int:
        return len(self.asked["payload_json"].encode(errors="surrogateescape"))

    @property
    def result_bytes(self) -> int:
        return len((self.result_json or "").encode(errors="surrogateescape"))

    @property
    def pair(self) -> tuple[str, str]:
        """Source and target language."""
        return self.asked["src_lang"], self.asked["tgt_lang"]

    @property
    def delivered(self) -> bool:
        """Whether its assignment goes through the node's inbox; otherwise its caller takes it there."""
        return self.asked.get("deliver") != "false"

    @property
    def deadline_ts(self) -> int | None:
        """When it ends, in any status."""
        return int(self.asked["deadline_ts"]) if "deadline_ts" in self.asked else None

    def wait_for(self, timer: str, due_ts: int) -> None:
        """Set the one timer that a job has."""
        self.timer, self.due_ts = timer, due_ts


@dataclass(slots=True)
class Session:
    """Where a conversation was last served."""

    preferred_pool: str
    last_lang_pair: str
    node_id: str
    last_job: str


@dataclass(slots=True)
class Source:
    """A source that may write through an ingress, or once might."""

    role: str = ""
    node_id: str = ""
    revoked: bool = False
    rate: int = 0
    size: int = 0
    backlog: int = 0
    priority: int = 0
    jobs: int = 0
    bytes: int = 0
    max_age_ms: int = 0
    pools: str = ""
    """Ids of the pools that it may create, beside those that begin with its name."""
    own_pairs: int | None = None
    """Language pairs of the pools that it created and that are not retired; ``None`` before its first."""
    kept: deque[tuple[int, int, str]] = field(default_factory=deque)
    """Ended jobs of its that are kept: when each ended, the bytes that it counts, and its id."""
    kept_bytes: int | None = None
    result_bytes: int | None = None
    """Bytes of the results of its node that are kept; ``None`` before the first."""
    own_pools: set[str] = field(default_factory=set)
    living: int | None = None
    """Jobs of its that have not ended; ``None`` before its first."""
    living_bytes: int | None = None
    cancelling: bool = False
    """Whether its jobs are being cancelled."""
    reason: str = ""
    since_ts: int = 0
    last_id: str = "0-0"
    """Up to which entry of its ingress it has been heard."""
    dropped: int = 0
    limited: int = 0
    limited_ts: int | None = None
    limited_cause: str | None = None


@dataclass(slots=True)
class State:
    """All of a partition."""

    nodes: dict[str, Node] = field(default_factory=dict)
    had_nodes: bool = False
    """Whether any node has ever registered."""
    pools: dict[str, Pool] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    run_means: dict[tuple[str, str], int] = field(default_factory=dict)
    """The mean run time of each pair that a pool serves, 1024 for each ms."""
    sessions: dict[str, Session] = field(default_factory=dict)
    ended: deque[tuple[int, str]] = field(default_factory=deque)
    """Terminal jobs in the order in which they ended, with the time."""
    configured: dict[str, str] = field(default_factory=dict)
    requests: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    """What need not happen again: its type, source, subject and name, with the time of its first coming."""
    oldest_requests: list[tuple[int, tuple[str, str, str, str]]] = field(default_factory=list)
    """The same as a heap, the oldest first."""
    sources: dict[str, Source] = field(default_factory=dict)
    sources_fence: str | None = None
    """The last entry taken from any source that is retired."""
    sources_event: str | None = None
    """Which event last changed who may speak."""
    letters: dict[str, str] = field(default_factory=dict)
    """Handled dead letters, by their ids: retried or dropped, and by which event."""
    handled: dict[str, int] = field(default_factory=dict)
    """The same letters, with the time at which each was handled first."""
    counted: Counter[str] = field(default_factory=Counter)
    """What has happened how often since the log began."""
    watermark: str = "0-0"
    folded: int = 0
    fold_version: int | None = None
    resumed_since_ts: int | None = None
    resumed_ts: int | None = None
    paused: dict[str, str] = field(default_factory=dict)
    """What an operator has paused, ``pool 1`` or ``pair en:zh``: since when, and why."""
    overload: dict[str, int] = field(default_factory=dict)
    """What there is too much of, with the time since when."""

    def config(self, name: str) -> int:
        """Return a number of the configuration in force."""
        return int(self.configured.get(name, CONFIG[name]))

    def pools_of(self, pair: tuple[str, str]) -> list[str]:
        """Return the pools that serve a language pair."""
        return [pool_id for pool_id, pool in self.pools.items() if pool.serves(*pair)]

    def members(self, pool_id: str) -> list[str]:
        """Return the nodes of a pool."""
        return [node_id for node_id, node in self.nodes.items() if pool_id in node.pools]

    def pair_paused(self, pair: tuple[str, str]) -> bool:
        """Whether the jobs of a language pair are to wait."""
        return f"pair {pair[0]}:{pair[1]}" in self.paused

    def max_attempts(self, job: Job) -> int:
        """Return how often a job may be begun: its own word, or the configuration's."""
        return int(job.asked["max_attempts"]) if "max_attempts" in job.asked else self.config("max_attempts")
