"""An operator: who may speak is admitted and revoked, pools and pairs are paused, what was refused is seen to."""

from __future__ import annotations

from redis.exceptions import RedisError

from ..checks.observations import DECISIONS
from ..world import Event, World
from .nodes import POOLS
from .producers import PAIRS
from .speaker import Speaker

OWN = 4
"""Fields that a letter says itself, before those of its event."""


class Letter:
    """What was refused, as it is in the stream of dead letters."""

    def __init__(self, letter_id: str, flat: list[str]) -> None:
        self.id = letter_id
        said = dict(zip(flat[: 2 * OWN : 2], flat[1 : 2 * OWN : 2], strict=True))
        self.about, self.stream, self.code = said["id"], said["stream"], said["code"]
        self.event: Event = dict(zip(flat[2 * OWN :: 2], flat[2 * OWN + 1 :: 2], strict=True))

    def once_more(self) -> Event:
        """The event of the letter, as it is appended again: a job keeps the id that its producer knows it by."""
        event = {"type": "", **self.event, "retry_of": self.id}  # the type comes first
        if event.get("type") == "job.submitted" and "session_id" in event and "request_id" not in event:
            event.setdefault("job_id", f"{event['session_id']}:{self.about}")
        return event


class Operator(Speaker):
    """Writes for itself only."""

    def __init__(self, world: World, sources: dict[str, Event]) -> None:
        super().__init__(world, "operator")
        self.sources = sources
        """What each source is admitted with."""

    # who may speak

    def admit(self) -> None:
        """Let a source speak, or speak once more; that of a node may perhaps create fewer pools."""
        if self.sources:
            source = self.world.rng.choice(sorted(self.sources))
            terms = dict(self.sources[source])
            if "pools" in terms:
                terms["pools"] = self.world.rng.choice(["*", "en-zh,en-fr", f"{source}."])
            self.say([{"type": "source.admitted", "source": source, **terms}])

    def admit_all(self) -> None:
        for source, terms in self.sources.items():
            self.say([{"type": "source.admitted", "source": source, **terms}], raw=False)

    def revoke(self) -> None:
        """Revoke a source, with or without entries in its ingress."""
        if self.sources:
            source = self.world.rng.choice([*sorted(self.sources), "nobody"])
            cancel = {"cancel": "true"} if self.world.rng.random() < 0.7 else {}
            self.say([{"type": "source.revoked", "source": source, **cancel}])

    # what gets new jobs

    def steer(self) -> None:
        """Pause a pool or a pair, or let it go on; now and then one that is not there."""
        rng = self.world.rng
        did = rng.choice(["paused", "paused", "resumed"])
        if rng.random() < 0.5:
            self.say([{"type": f"pool.{did}", "pool_id": rng.choice([*POOLS, *POOLS, *POOLS, "nobody"])}])
        else:
            src, tgt = rng.choice(PAIRS)
            self.say([{"type": f"pair.{did}", "src_lang": src, "tgt_lang": tgt}])

    def resume_all(self) -> None:
        for name in list(self.world.checker.model.partition.paused):
            kind, _, subject = name.partition(" ")
            src, _, tgt = subject.partition(":")
            about = {"pool_id": subject} if kind == "pool" else {"src_lang": src, "tgt_lang": tgt}
            self.say([{"type": f"{kind}.resumed", **about}], raw=False)

    # what was refused

    def letters(self) -> list[Letter]:
        """Those about events that can be appended again: no decision, and a refused retry is not one of its own."""
        try:
            found = self.world.perform(("XRANGE", self.world.keys("dead"), "-", "+"))
        except RedisError:
            return []
        letters = [letter for letter in (Letter(*entry) for entry in found) if letter.stream == "events"]
        return [e for e in letters if "retry_of" not in e.event and e.event.get("type") not in DECISIONS]

    def retry(self) -> None:
        """Append the event of a letter once more, twice perhaps, or when it has been seen to."""
        if letters := self.letters():
            letter = self.world.rng.choice(letters[-8:])
            known = self.world.checker.model.partition.letters.get(letter.id, "")
            if known.startswith("dropped"):
                self.world.mark("a dropped letter retried")
            if "source_id" in letter.event:
                self.world.mark("a letter of a source retried")
            self.say([letter.once_more()])

    def drop(self) -> None:
        """Say that nothing is to be done about a letter."""
        if letters := self.letters():
            known = self.world.checker.model.partition.letters
            retried = [letter for letter in letters if known.get(letter.id, "").startswith("retried")]
            if retried and self.world.rng.random() < 0.5:
                letters = retried
                self.world.mark("a retried letter dropped")
            letter = self.world.rng.choice(letters[-8:])
            self.say([{"type": "letter.dropped", "letter": letter.id}])

    def open_letters(self) -> list[Letter]:
        """Submissions refused because too many waited, and not handled since."""
        handled = self.world.checker.model.partition.letters
        return [letter for letter in self.letters() if letter.code == "OVERLOADED" and letter.id not in handled]

    def see_to(self) -> None:
        """Every submission that was shed is appended again; what is refused for another reason by now is dropped."""
        known = self.world.checker.model.partition.letters
        retried = [letter.id for letter in self.letters() if known.get(letter.id, "").startswith("retried")]
        if retried:  # too late: it changes nothing
            self.world.mark("a retried letter dropped")
            self.say([{"type": "letter.dropped", "letter": retried[0]}], raw=False)
        refused = self.world.checker.refused_retries()
        coming = {event.get("retry_of") for event in self.turned_away}
        for letter in self.open_letters():
            if letter.id in coming:
                continue
            if refused.get(letter.id, "OVERLOADED") == "OVERLOADED":
                self.say([letter.once_more()], raw=False)
            else:
                self.say([{"type": "letter.dropped", "letter": letter.id}], raw=False)
