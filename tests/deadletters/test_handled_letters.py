"""The state remembers the latest dead letters that were handled, and not every one there ever was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streamsched.contract.kinds import LIMITS
from streamsched.engine.script import script
from streamsched.engine.source import sources
from streamsched.state.letters import count_letters

from ..model import contract
from ..support.ledger import Ledger

pytestmark = pytest.mark.anyio

REMEMBERED = 3


@pytest.fixture(autouse=True)
def few() -> Iterator[None]:
    """Scripts and a model that remember a few letters."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LIMITS, "letters", REMEMBERED)
        patch.setattr(contract, "REMEMBERED_LETTERS", REMEMBERED)
        sources.cache_clear()
        script.cache_clear()
        yield
    sources.cache_clear()
    script.cache_clear()


async def refused(ledger: Ledger, count: int) -> list[str]:
    """Let so many events be refused; returns the ids of their letters."""
    for n in range(count):
        await ledger.append(["type", "job.cancelled", "job_id", f"j{n}"])
    return await ledger.letter_ids()


async def handled(ledger: Ledger) -> set[str]:
    return set(await ledger.hash("letters"))


async def test_the_letters_that_were_handled_last_are_remembered(ledger: Ledger) -> None:
    letters = await refused(ledger, 6)
    for letter in letters:
        await ledger.append(["type", "letter.dropped", "letter", letter])
    assert await handled(ledger) == set(letters[-REMEMBERED:])
    assert (await count_letters(ledger.redis, ledger.keys)).open == 0, "those that are forgotten were handled, too"


async def test_a_letter_that_is_dropped_and_then_retried_counts_once(ledger: Ledger) -> None:
    letters = await refused(ledger, 3)
    for letter in letters:
        await ledger.append(["type", "letter.dropped", "letter", letter])
    await ledger.submit("j0")
    await ledger.append(["type", "job.cancelled", "job_id", "j0", "retry_of", letters[0]])
    assert (await ledger.hash("letters"))[letters[0]].startswith("retried ")
    assert await handled(ledger) == set(letters)
    await ledger.append(["type", "job.cancelled", "job_id", "j0", "retry_of", letters[0]])
    assert (await count_letters(ledger.redis, ledger.keys)).open == 0
