"""The faults of the demo: a worker and two nodes die, one node stops reading its inbox, one node returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio

from ..workload.fleet import NodePlan, lone_pairs
from ..workload.traces import Churn, Pair
from .link import Add, Pause, Remove, Resume
from .processes import Child, Processes

Say = Callable[[str], None]


class Targets:
    """Which nodes play a part, and which process hosts which node.

    The node that comes back is one that some pair depends on: its jobs wait for it. The one that stays away and the one
    that stops reading its inbox are busy ones whose pairs others serve as well. The two that are to be killed have a
    process each, so that SIGKILL takes one node and no other.
    """

    def __init__(self, fleet: Sequence[NodePlan], hosts: int) -> None:
        depended_on = set(lone_pairs(fleet).values())
        holders = {pair: sum(pair in plan.pairs for plan in fleet) for plan in fleet for pair in plan.pairs}

        def business(plan: NodePlan) -> float:
            return sum(pair.weight / holders[pair] for pair in plan.pairs)

        busiest = sorted(fleet, key=business, reverse=True)
        common = [plan for plan in busiest if plan.node_id not in depended_on] or busiest
        self.returning = next((plan for plan in busiest if plan.node_id in depended_on), busiest[-1])
        common = [plan for plan in common if plan is not self.returning]
        self.dying, self.deaf = common[0], common[1]
        rest = [plan for plan in fleet if plan not in (self.returning, self.dying)]
        self.homes: list[list[NodePlan]] = [rest[n :: hosts - 2] for n in range(hosts - 2)]
        self.homes += [[self.returning], [self.dying]]


def names(pairs: Sequence[Pair]) -> str:
    """Write pairs as people read them."""
    return ", ".join(f"{pair.source}-{pair.target}" for pair in pairs)


class Faults:
    """Injects the faults of a demo."""

    def __init__(self, crew: Processes, cast: Targets, say: Say) -> None:
        self.crew, self.cast, self.say = crew, cast, say
        self.hosts: list[Child] = []
        self.workers: list[Child] = []

    def start_workers(self, count: int) -> None:
        """Start the worker processes."""
        self.workers = [self.crew.start("worker", f"worker{n + 1}") for n in range(count)]

    def start_hosts(self) -> None:
        """Start the node processes and give each its nodes."""
        for number, home in enumerate(self.cast.homes, 1):
            self._host(f"nodes{number}", home)

    def _host(self, name: str, home: Sequence[NodePlan]) -> None:
        host = self.crew.start("node", name)
        self.hosts.append(host)
        for plan in home:
            host.tell(Add(plan))

    def _home_of(self, plan: NodePlan) -> Child:
        return self.hosts[next(n for n, home in enumerate(self.cast.homes) if plan in home)]

    async def play(self, seconds: float) -> None:
        """Inject every fault once within ``seconds``."""
        cast = self.cast
        start = anyio.current_time()
        acts: list[tuple[float, Callable[[], None]]] = [
            (0.20, lambda: self._kill(self.workers[0], self.workers[0].name)),
            (0.30, lambda: self._kill_node(cast.returning)),
            (0.34, lambda: self._kill_node(cast.dying)),
            (0.45, self._pause),
            (0.60, self._bring_back),
            (0.80, self._resume),
        ]
        for share, act in acts:
            await anyio.sleep_until(start + share * seconds)
            act()

    def _kill(self, child: Child, what: str) -> None:
        child.kill()
        self.say(f"SIGKILL: {what} (pid {child.pid})")

    def _kill_node(self, plan: NodePlan) -> None:
        self._kill(self._home_of(plan), f"{plan.node_id}, which serves {names(plan.pairs)}")

    def _pause(self) -> None:
        deaf = self.cast.deaf
        self._home_of(deaf).tell(Pause(deaf.node_id))
        self.say(f"{deaf.node_id} stops reading its inbox and beats on; it serves {names(deaf.pairs)}")

    def _bring_back(self) -> None:
        self._host("returned", [self.cast.returning])
        self.say(f"{self.cast.returning.node_id} is started again")

    def _resume(self) -> None:
        deaf = self.cast.deaf
        self._home_of(deaf).tell(Resume(deaf.node_id))
        self.say(f"{deaf.node_id} reads its inbox again")

    async def churn(self, trace: Sequence[Churn], spare: Sequence[NodePlan], seconds: float) -> None:
        """Let spot machines come and go beside the fleet, the whole trace laid over ``seconds``.

        A machine that comes takes a free plan of ``spare``; while there is none it stays out. One that leaves is warned
        beforehand, as spot machines are, and hands back what it has not finished.
        """
        free = list(reversed(spare))
        running: dict[str, NodePlan] = {}
        hosts = self.hosts[: len(self.cast.homes) - 2]
        start, length_ms = anyio.current_time(), max(1, trace[-1].at_ms)
        for change in trace:
            await anyio.sleep_until(start + change.at_ms / length_ms * seconds)
            if change.change == "add" and free:
                plan = running[change.name] = free.pop()
                hosts[spare.index(plan) % len(hosts)].tell(Add(plan))
            elif change.change == "remove" and change.name in running:
                plan = running.pop(change.name)
                hosts[spare.index(plan) % len(hosts)].tell(Remove(plan.node_id))
                free.insert(0, plan)
