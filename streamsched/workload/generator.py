"""A seeded generator of arrivals and sessions that follows published figures; it holds figures, not data.

Sources, each measured on the first part of its trace as published:

* **Mooncake** (Qin et al., "Mooncake", FAST'25; conversation trace, 12,031 requests in 59 min; figures from the 5,719
  requests of its first 30 min): how often conversations start, how many requests they have, the pauses between these,
  how many tokens go in and come out. A conversation is what shares the second 512-token block of its prompts.
* **Azure LLM inference trace 2023** (Patel et al., "Splitwise", ISCA 2024; class ``code``, 5,100 requests from 18:17
  to 18:45): bursts. The seconds with 20 requests or more, how often they come and how large they are.
* **OPUS wikimedia v20210402** (published translations of Wikipedia's Content Translation, 12,864,080 aligned
  sentences in 2,575 counted pairs): how often each pair of languages is asked for.

No source holds requests and languages together. Giving each conversation a pair of languages is our construction, and
so are the work per token (``traces.MS_PER_TOKEN``) and the share of jobs that fail.
"""

from __future__ import annotations

import heapq
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, count
from random import Random

import msgspec

from .traces import Arrival, Pair

SESSIONS_PER_S = 3690 / 1800
"""Conversations that start in a second (Mooncake: 3,690 in 30 min). With the requests of each: 3.18 requests/s."""

SESSION_SIZES = (2595, 673, 218, 94, 46, 25, 10, 13, 8, 1, 1, 2, 1)
"""How many conversations had 1, 2, 3, … requests (Mooncake); three longer ones, of 17, 21 and 26, are left out."""

START_WINDOW_MS = 10_000
START_VARIANCE = 0.035
"""Conversations start a little unevenly: their number in 10 s has 1.71 times the variance of a Poisson process at a
mean of 20.5 (Mooncake), so the rate itself varies around 1 with this variance, (1.71 - 1) / 20.5."""

PAUSE_MS = (
    *(3_001, 29_999, 42_000, 51_000, 59_999, 66_000, 74_999, 84_000, 93_001, 105_000, 119_999),
    *(135_000, 153_001, 179_999, 207_000, 252_000, 297_000, 356_399, 431_999, 559_799, 1_533_000),
)
"""From one request of a conversation to its next, in ms: quantiles in steps of 5 % (Mooncake; longer pauses than its
30 min cannot be seen)."""

TOKENS_IN = (
    *(891, 901, 970, 1_289, 1_741, 2_508, 3_680, 4_649, 5_506, 6_508, 7_640),
    *(8_856, 10_237, 11_874, 13_911, 16_254, 19_037, 23_567, 28_638, 41_793, 123_192),
)
TOKENS_OUT = (1, 9, 24, 44, 96, 152, 215, 261, 298, 328, 356, 380, 402, 426, 452, 476, 511, 552, 608, 707, 2000)
"""Tokens of a request: quantiles in steps of 5 % (Mooncake)."""

BURST_EVERY_S = 31.7
BURST_LEAST, BURST_MEAN, BURST_MOST = 20, 30.5, 67
"""Seconds with 20 requests or more came every 31.7 s, with 30.5 requests on average and 67 at most, and carried 31 % of
all requests (Azure, class code)."""

BURST_TOKENS_IN = (76, 594, 1472, 2750, 7302)
BURST_TOKENS_OUT = (6, 9, 13, 23, 85)
"""Tokens of a request: its 5, 25, 50, 75 and 95 % quantiles, read as if they were 0 to 100 % (Azure, class code)."""

PAIRS = tuple(
    Pair(source, target, weight)
    for source, target, weight in (
        ("en", "es", 9.91),
        ("en", "fr", 7.46),
        ("ru", "uk", 6.24),
        ("en", "vi", 4.66),
        ("en", "pt", 3.94),
        ("ca", "es", 3.47),
        ("ba", "ru", 3.21),
        ("ar", "en", 3.17),
        ("en", "it", 2.83),
        ("en", "uk", 2.71),
        ("en", "ru", 2.63),
        ("en", "tr", 2.37),
        ("el", "en", 1.94),
        ("en", "ro", 1.89),
        ("en", "id", 1.80),
        ("en", "he", 1.76),
        ("ca", "en", 1.69),
        ("en", "zh", 1.43),
        ("en", "ja", 1.38),
        ("en", "fa", 1.28),
    )
)
"""The 20 most translated pairs, in per cent of all aligned sentences (OPUS wikimedia); together 65.8 %."""

WARM_UP_MS = 1_200_000
"""Conversations that began up to this long before the start go on in it, so that the rate is level from the start."""

FAILS_ONCE, FAILS_ALWAYS = 0.01, 0.001
"""Share of the jobs whose first attempt fails, and of those that fail at every one: our assumption."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A job to be submitted."""

    at_ms: float
    """ms since the start."""
    session_id: str
    src_lang: str
    tgt_lang: str
    work_ms: int
    """How long a node works on it, in ms."""
    failing_attempts: int = 0
    """How many of its attempts fail before one succeeds."""


def arrivals(seed: int = 0) -> Iterator[Arrival]:
    """Yield requests in order of time, without end; the same ones for the same seed.

    Conversations as in Mooncake (3.2 requests/s) and, on top of them, bursts of single requests as in Azure's code
    trace (1.0 requests/s).
    """
    talk, burst = _conversations(Random(f"{seed} conversations")), _bursts(Random(f"{seed} bursts"))
    return heapq.merge(talk, burst, key=lambda arrival: arrival.at_ms)


def requests(arrivals: Iterable[Arrival], pairs: Sequence[Pair] = PAIRS, seed: int = 0) -> Iterator[Request]:
    """Give each session of ``arrivals`` a pair of languages, drawn by weight, and each of its requests a direction.

    The two sides of a conversation take turns, so the direction alternates. This joining is our construction.
    """
    bounds = list(accumulate(pair.weight for pair in pairs))
    turns: dict[str, int] = {}
    for number, arrival in enumerate(arrivals):
        chance = Random(f"{seed} {arrival.session_id}")
        pair = pairs[bisect(bounds, chance.random() * bounds[-1], hi=len(pairs) - 1)]
        turn = turns[arrival.session_id] = turns.get(arrival.session_id, chance.randrange(2)) + 1
        source, target = (pair.source, pair.target) if turn % 2 else (pair.target, pair.source)
        fate = Random(f"{seed} fate {number}").random()
        yield Request(
            at_ms=arrival.at_ms,
            session_id=arrival.session_id,
            src_lang=source,
            tgt_lang=target,
            work_ms=arrival.work_ms,
            failing_attempts=1000 if fate < FAILS_ALWAYS else 1 if fate < FAILS_ALWAYS + FAILS_ONCE else 0,
        )


def _conversations(random: Random) -> Iterator[Arrival]:
    """Yield the requests of conversations from time 0 on, in order."""
    waiting: list[tuple[float, int, Arrival]] = []
    ticket = count()
    for number, start_ms in enumerate(_starts(random)):
        while waiting and waiting[0][0] <= start_ms:
            yield heapq.heappop(waiting)[2]
        at_ms = start_ms
        for turn in range(1 + _draw_index(random, SESSION_SIZES)):
            if turn:
                at_ms += _draw(random, PAUSE_MS)
            tokens_in, tokens_out = round(_draw(random, TOKENS_IN)), round(_draw(random, TOKENS_OUT))
            if at_ms >= 0:
                arrival = Arrival(at_ms=at_ms, session_id=f"s{number}", tokens_in=tokens_in, tokens_out=tokens_out)
                heapq.heappush(waiting, (at_ms, next(ticket), arrival))


def _starts(random: Random) -> Iterator[float]:
    """Yield when conversations start: a Poisson process with a new random rate for every window."""
    for window in count(-WARM_UP_MS // START_WINDOW_MS):
        rate_per_ms = SESSIONS_PER_S / 1000 * random.gammavariate(1 / START_VARIANCE, START_VARIANCE)
        at_ms = window * START_WINDOW_MS + random.expovariate(rate_per_ms)
        while at_ms < (window + 1) * START_WINDOW_MS:
            yield at_ms
            at_ms += random.expovariate(rate_per_ms)


def _bursts(random: Random) -> Iterator[Arrival]:
    """Yield requests that come all in the same second, each a session of its own."""
    at_ms = 0.0
    for number in count():
        # bursts do not overlap: each has its second to itself
        at_ms += 1000 + random.expovariate(1 / (BURST_EVERY_S * 1000 - 1000))
        size = min(BURST_MOST, BURST_LEAST + int(random.expovariate(1 / (BURST_MEAN - BURST_LEAST))))
        for place, offset_ms in enumerate(sorted(random.uniform(0, 1000) for _ in range(size))):
            yield Arrival(
                at_ms=at_ms + offset_ms,
                session_id=f"b{number}-{place}",
                tokens_in=round(_draw(random, BURST_TOKENS_IN)),
                tokens_out=round(_draw(random, BURST_TOKENS_OUT)),
            )


def _draw(random: Random, quantiles: Sequence[float]) -> float:
    """Draw a value whose quantiles, in equal steps from 0 to 100 %, are given."""
    place, step = divmod(random.random() * (len(quantiles) - 1), 1)
    below, above = quantiles[int(place)], quantiles[int(place) + 1]
    return below + (above - below) * step


def _draw_index(random: Random, weights: Sequence[float]) -> int:
    """Draw an index of ``weights`` in proportion to the weights."""
    return random.choices(range(len(weights)), weights)[0]
