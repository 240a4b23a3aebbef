"""What goes wrong with the server and around it: clocks, crashes, lost ends of the log, strangers."""

from __future__ import annotations

from redis.exceptions import RedisError

from streamsched.contract.errors import LogGap, PartitionHalted, SchedulerError
from streamsched.engine.script import script
from streamsched.engine.source import facts

from .actors.archivist import Archivist
from .actors.speaker import Speaker
from .checks.observations import require
from .redis_double.values import ZERO, Hash, SortedSet, Stream, id_of
from .world import AWAY, World


class Mishaps:
    """Faults, and the acts of strangers."""

    def __init__(self, world: World, archivist: Archivist) -> None:
        self.world, self.archivist = world, archivist
        self.stranger = Speaker(world, "stranger")

    # the network and time

    def deliver(self) -> None:
        """A command that was on its way for long arrives."""
        world = self.world
        if world.delayed:
            request = world.delayed.pop(world.rng.randrange(len(world.delayed)))
            world.note(f"arrives late: {world.replied(request)}")
            try:
                world.execute(request)
            except (RedisError, SchedulerError):
                return

    def wait(self) -> None:
        """Time passes without any act."""
        ms = self.world.rng.choice([100, 400, 800, 2_000, 4_000, 7_000, 11_000, 31_000])
        self.world.note(f"{ms} ms pass")
        self.world.pass_time(ms)

    def move_clock(self) -> None:
        ms = self.world.rng.choice([3_600_000, -3_600_000, 3_000, 20_000, -20_000])
        self.world.mark("clock ahead" if ms > 0 else "clock behind")
        self.world.note(f"the server's clock jumps {ms} ms")
        self.world.move_clock(ms)

    # the server

    def restart(self) -> None:
        """The server ends and comes back, or another takes its place, without what it had not written down."""
        world, server, checker = self.world, self.world.server, self.world.checker
        calls = world.rng.choice([0, 1, 2, 3, 5, 8, 13])
        world.note(f"the server restarts without its last {calls} calls")
        server.take_back(calls)
        server.forget_scripts()
        world.server_run += 1
        server.space.replication_id, server.space.evicted_keys = f"run {world.server_run}", 0
        lost = len(checker.lost)
        checker.rewind()
        if calls:
            world.mark("server lost its last calls")
        self.forget(len(checker.lost) > lost)

    def forget(self, attempts: bool) -> None:
        """What was acknowledged and is gone cannot be asked for any more."""
        world = self.world
        gone = [entry_id for entry_id in world.acknowledged if entry_id not in world.checker.by_id]
        for entry_id in gone:
            del world.acknowledged[entry_id]
        if gone:
            world.mark("an acknowledged event lost")
        if attempts:
            world.mark("an attempt lost with its fact")

    def flush_scripts(self) -> None:
        self.world.note("SCRIPT FLUSH")
        self.world.execute(("SCRIPT FLUSH",))

    def fill(self) -> None:
        """The server reaches ``maxmemory``, or has room again."""
        world = self.world
        world.server.full = not world.server.full
        world.note(f"the server is {'full' if world.server.full else 'not full any more'}")

    def squeeze(self) -> None:
        """The server's memory fills, or is freed."""
        world = self.world
        world.server.space.memory_percent = world.rng.choice([10, 85, 95])
        world.note(f"{world.server.space.memory_percent} % of the memory is used")

    def wipe_state(self) -> None:
        """An operator deletes the state, and leaves the log."""
        world = self.world
        world.note("the state is wiped")
        keys = [key for key in world.server.space.data if world.keys.is_state(key)]
        if not keys or world.keys("events") not in world.server.space.data:
            return  # without a log there is nothing that says how far the heartbeats were judged
        stream = world.server.space.data.get(world.keys("events"))
        group = stream.groups.get("fold") if isinstance(stream, Stream) else None
        cursor = group.last if group else ZERO
        for entry in world.checker.log:
            entry.doubtful = entry.doubtful or id_of(entry.id) > cursor
        world.server.execute("DEL", *keys)
        world.checker.refold()
        world.mark("state wiped")

    def wipe_everything(self) -> None:
        """The server comes back empty; where there is an archive, an operator brings it back from there."""
        world = self.world
        world.note("everything is wiped")
        world.server.execute("DEL", *[key for key in world.server.space.data if key.startswith(world.keys.prefix)])
        world.server.past.clear()
        world.server.forget_scripts()
        world.server_run += 1
        world.checker.rewind()
        self.forget(False)
        world.mark("everything wiped")
        if self.archivist.entries and not world.forked and not world.profile.recovery:
            self.archivist.restore()  # else the processes find out, and an operator replaces what began since

    def evict(self) -> None:
        """A server that may evict keys does so. The next call that looks at its memory stops the partition."""
        world, space = self.world, self.world.server.space
        meta = space.data.get(world.keys("meta"))
        keys = [key for key in space.data if world.keys.is_state(key) and key != world.keys("meta")]
        if not keys or world.server.full or not world.checker.follows or world.lost_log():
            return
        if not isinstance(meta, Hash) or meta.get("evicted_keys") != str(space.evicted_keys):
            return  # nothing is known to compare with
        space.policy = "allkeys-lru"
        with world.calm():
            world.pass_time(1_000)  # a call looks at the policy
            try:
                while world.advance(256, "evictor")[0]:
                    pass
            except (RedisError, SchedulerError):
                return
            keys = [key for key in keys if key in space.data]
            gone = world.rng.sample(keys, min(len(keys), world.rng.choice([1, 3, 20])))
            world.note(f"the server evicts {', '.join(gone)}")
            world.server.execute("DEL", *gone)
            space.evicted_keys += len(gone)
            world.checker.whole = False
            try:
                world.advance(256, "evictor")
            except PartitionHalted:
                world.mark("keys evicted")
                world.server.past.clear()  # a crash that loses this call, too, loses the count of evictions with it
            else:
                require(False, "keys were evicted, and no call noticed")

    def overwrite(self) -> None:
        """Something foreign is written over a key of the state."""
        world = self.world
        data = world.server.space.data
        keys = [key for key in sorted(data) if world.keys.is_state(key) and isinstance(data[key], SortedSet)]
        if keys and not world.server.full:
            key = world.rng.choice(keys)
            world.note(f"something else is written over {key}")
            world.server.execute("SET", key, "mine")
            world.checker.overwritten, world.checker.met_foreign = True, False
            world.mark("wrong type under a state key")

    def squat(self, sources: list[str]) -> None:
        """Something foreign takes the place of an ingress, with its entries, or leaves it."""
        world = self.world
        if not sources or world.server.full:
            return
        name = world.rng.choice(sources)
        key = world.keys("ingress", name)
        if isinstance(world.server.space.data.get(key), str):
            self.clear(name)
            return
        world.note(f"something else lies in the place of the ingress of {name}")
        world.server.execute("SET", key, "mine")
        world.checker.intake.forget(name)

    def clear(self, name: str) -> None:
        """An operator removes the foreign key in place of an ingress."""
        key = self.world.keys("ingress", name)
        if isinstance(self.world.server.space.data.get(key), str):
            self.world.note(f"what lay in the place of the ingress of {name} is removed")
            self.world.server.execute("DEL", key)

    def delete_unfolded(self) -> str:
        """Entries vanish before they were folded: from here on nothing may be decided. Returns why the run ends."""
        world = self.world
        with world.calm():
            world.server.full = False
            try:
                entry_id = world.add({"type": "session.released", "session_id": "s0"})
            except AWAY:
                return ""
            world.note(f"{entry_id} is deleted unfolded")
            del world.acknowledged[entry_id]
            world.server.execute("XDEL", world.keys("events"), entry_id)
            checker = world.checker
            del checker.by_id[checker.log.pop().id]
            if not checker.whole:
                return "entries deleted from under a rebuild"
            length = self._length()
            for _ in range(2):
                try:
                    self._fold_to_the_tail()
                except LogGap:
                    world.mark("entries deleted unfolded")
                except (RedisError, SchedulerError) as problem:
                    return f"{problem}"
                else:
                    require(False, "an entry was deleted unfolded, and no call reported it")
        decided = [flat[1] for _, flat in self._stream().entries[length:] if flat[1] in facts()]
        require(not decided, f"decided on a log with a gap: {decided}")
        return "entries deleted unfolded"

    def _fold_to_the_tail(self) -> None:
        world = self.world
        more = 1
        while more:
            more = world.run(
                script("advance")(
                    world.wire,
                    **world.streams,
                    prefix=world.keys.prefix,
                    batch=256,
                    nonce=world.nonce(),
                    **world.knows(""),
                )
            )[0]

    def _stream(self) -> Stream:
        stream = self.world.server.space.data.get(self.world.keys("events"))
        return stream if isinstance(stream, Stream) else Stream()

    def _length(self) -> int:
        return len(self._stream().entries)

    # strangers

    def forge(self) -> None:
        """A stranger writes a decision of the scheduler."""
        rng = self.world.rng
        kind = rng.choice(sorted(facts()))
        jobs = list(self.world.checker.model.partition.jobs) or ["j0"]
        fields = dict.fromkeys(facts()[kind], "1")
        known = {"node_id": "n0", "job_id": rng.choice(jobs), "fold_version": "1", "nonce": "0" * 8}
        event = {"type": kind, **fields, **{name: known[name] for name in known if name in fields}, "forged": "yes"}
        self.stranger.say([event])

    def talk_nonsense(self) -> None:
        event = self.world.rng.choice(
            [
                {"type": "nonsense"},
                {"type": "job.cancelled", "job_id": ""},
                {"type": "job.started", "job_id": "never", "node_id": "n0", "attempt": "0-0-0"},
                {"type": "node.heartbeat", "node_id": "never", "online": "true"},
                {"type": "node.cordoned", "node_id": "never"},
            ]
        )
        stream = "heartbeats" if event["type"] == "node.heartbeat" and self.world.rng.random() < 0.5 else "events"
        self.stranger.say([event], raw=True, stream=stream)

    def operate(self) -> None:
        """An operator keeps a node away from work, or lets it have some."""
        retired = ["node.retired"] if self.world.profile.retires else []
        kind = self.world.rng.choice(["node.cordoned", "node.uncordoned", "node.drained", "node.offline", *retired])
        node = f"n{self.world.rng.randrange(self.world.profile.nodes)}"
        leaves = kind == "node.retired" and self.world.rng.random() < 0.5  # with jobs in its hands, or without
        kinds = ["node.offline", kind] if leaves else [kind]
        self.stranger.say([{"type": kind, "node_id": node} for kind in kinds])
