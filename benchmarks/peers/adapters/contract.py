"""The contract between the measuring program and an adapter: four verbs, a board, nothing but the standard library.

    ADAPTER enqueue   URL BOARD MODE one|bulk FIRST COUNT   enqueue jobs; prints {"seconds", "cpu_s", "count"}
    ADAPTER pace      URL BOARD MODE RATE COUNT             one job after the other at a rate; prints {"seconds"}
    ADAPTER roundtrip URL BOARD MODE COUNT                  one job and its result, again and again; prints {"ms": […]}
    ADAPTER work      URL BOARD MODE SLOT                   work until killed

MODE is the same for both sides: `plain` keeps no results where that is a choice, `results` keeps them, `hold` begins
jobs and never ends them.

The board is a file in shared memory, made by the measuring program: when each job was enqueued and started, so that
measuring costs the server nothing. A word is 8 bytes: 0 gate open, 1 jobs it has room for, 2–5 worker in
that slot is ready, 6–9 jobs a slot saw twice; then a word a job for its enqueueing, then a word a job for each of
four slots. Times are CLOCK_MONOTONIC in nanoseconds, the same for all processes.

A job's payload is about 200 bytes of JSON and says its number: ``{"n": 17, "audio": "xxx…"}``.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import mmap
import os
import sys
import time

SLOTS = 4
HEAD = 2 + 2 * SLOTS
CONCURRENCY = 256
"""Jobs that a worker runs at the same time, if the peer lets that be set."""
HELD = 500
"""The same where jobs are held, to weigh them."""
THREADS = 8
"""The same for those who need a thread for each: more of them make it slower."""
AUDIO = "x" * 176


def payload(n):
    return {"n": n, "audio": AUDIO}


class Board:
    """What happened when, in memory that all processes share."""

    def __init__(self, path, slot=0):
        fd = os.open(path, os.O_RDWR)
        self._map = mmap.mmap(fd, 0)
        os.close(fd)
        self.words = memoryview(self._map).cast("Q")
        self.room = self.words[1]
        self.slot = slot
        self._starts = HEAD + self.room * (1 + slot)

    def enqueued(self, n):
        self.words[HEAD + n] = time.monotonic_ns()

    def started(self, n):
        at = self._starts + n
        if self.words[at]:
            self.words[2 + SLOTS + self.slot] += 1
        else:
            self.words[at] = time.monotonic_ns()

    def ready(self):
        """This worker is connected and would begin."""
        self.words[2 + self.slot] = 1

    async def gate(self):
        """Say ready, and wait for the others without keeping the event loop from its work."""
        self.ready()
        while not self.words[0]:
            await asyncio.sleep(0.001)

    def gate_of_threads(self):
        """The same for who has no event loop."""
        self.ready()
        while not self.words[0]:
            time.sleep(0.001)


async def forever():
    await asyncio.Event().wait()


class Peer:
    """What an adapter fills in; each method may be a coroutine or not.

    ``connect`` first, then ``one(n)`` and ``bulk(first, count)`` enqueue, ``result(n)`` enqueues and waits for the
    outcome, ``work(board)`` passes ``board.gate()`` and works until it is killed, calling ``board.started(n)`` at each
    job's start.
    """

    def __init__(self, url, mode):
        self.url = url
        self.mode = mode
        self.keeps = mode != "plain"
        """Whether results are kept."""
        self.holds = mode == "hold"
        self.concurrency = HELD if self.holds else CONCURRENCY
        self.port = int(url.rsplit(":", 1)[1].split("/")[0])

    def connect(self, producing):
        """Connect, as one who enqueues or as a worker."""

    def one(self, n):
        raise NotImplementedError

    def bulk(self, first, count):
        raise NotImplementedError

    def settle(self):
        """See to it that what was enqueued is ready to be worked off, where a process of its own does that beside: the
        server's work for it counts as work of the enqueueing."""

    def result(self, n):
        raise NotImplementedError

    def work(self, board):
        raise NotImplementedError


async def finished(value):
    return await value if inspect.isawaitable(value) else value


async def enqueue(peer, board, how, first, count):
    await finished(peer.one(first) if how == "one" else peer.bulk(first, 1))  # connected, scripts loaded
    first, count = int(first) + 1, int(count) - 1
    began, cpu = time.perf_counter(), time.process_time()
    if how == "one":
        for n in range(first, first + count):
            await finished(peer.one(n))
    else:
        await finished(peer.bulk(first, count))
    said = {"seconds": time.perf_counter() - began, "cpu_s": time.process_time() - cpu, "count": count}
    await finished(peer.settle())
    return said


async def pace(peer, board, rate, count):
    gap, began = 1 / rate, time.perf_counter()
    for n in range(count):
        ahead = began + n * gap - time.perf_counter()
        if ahead > 0.0002:
            await asyncio.sleep(ahead)
        board.enqueued(n)
        await finished(peer.one(n))
    return {"seconds": time.perf_counter() - began}


async def roundtrip(peer, board, count):
    took = []
    for n in range(count):
        began = time.perf_counter()
        await finished(peer.result(n))
        took.append((time.perf_counter() - began) * 1000)
    return {"ms": took[count // 10 :]}  # the first ones connect and warm up


async def main(make):
    verb, url, path, mode, *rest = sys.argv[1:]
    peer = make(url, mode)
    await finished(peer.connect(verb != "work"))
    gc.collect()
    gc.freeze()  # for all alike: what is loaded by now is no matter for later collections, as a Node of ours has it
    if verb == "work":
        await finished(peer.work(Board(path, int(rest[0]))))
        return
    board = Board(path)
    if verb == "enqueue":
        said = await enqueue(peer, board, rest[0], int(rest[1]), int(rest[2]))
    elif verb == "pace":
        said = await pace(peer, board, float(rest[0]), int(rest[1]))
    elif verb == "roundtrip":
        said = await roundtrip(peer, board, int(rest[0]))
    else:
        raise SystemExit(f"unknown verb {verb}")
    print(json.dumps(said), flush=True)
    os._exit(0)  # background work has nothing to add


def run(make):
    """Run an adapter, on uvloop where its environment has it."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main(make))
    else:
        uvloop.run(main(make))
