"""The readers take the published files as they are, and say of anything else which line is wrong and what to give."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamsched.workload.traces import Churn, TraceError, read_arrivals, read_churn, read_pairs

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the published traces are not on this machine")

MOONCAKE = """\
{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1, 2]}
{"timestamp": 0, "input_length": 7322, "output_length": 490, "hash_ids": [0, 14]}

{"timestamp": 3000, "input_length": 100, "output_length": 0, "hash_ids": [0]}
{"timestamp": 6001, "input_length": 9000, "output_length": 10, "hash_ids": [0, 1, 2, 3]}
"""
AZURE = """\
TIMESTAMP,ContextTokens,GeneratedTokens\r
2023-11-16 18:17:03.9799600,4808,10\r
2023-11-16 18:17:04.0319600,3180,8\r
"""
PAIRS = """\
source,target,corpus,version,preprocessing,size,alignment_pairs,source_tokens,target_tokens
en,es,wikimedia,v20210402,moses,159578,1275297,30986073,33141109
en,zh_tw,wikimedia,v20210402,moses,7,3000000,1,1
af,sq,wikimedia,v20210402,moses,7,,,
"""
NAMED = "0,add,node1\n0,add,node2\n60000,remove,node1\n"
COUNTED = """\
2021-12-10, 13:07:45, 2
2021-12-10, 13:08:45, 2
2021-12-10, 13:09:45, 2
2021-12-10, 13:08:45, 1
2021-12-10, 13:09:45, 1
2021-12-10, 13:10:45, 1
2021-12-10, 13:13:48, 3
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(text: str | bytes) -> Path:
        path = tmp_path / "trace"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_mooncake_sessions_are_the_second_block_and_ties_are_spread(written: Callable[[str], Path]) -> None:
    read = list(read_arrivals(written(MOONCAKE)))
    assert [arrival.session_id for arrival in read] == ["block1", "block14", "line4", "block1"]
    assert [arrival.at_ms for arrival in read] == [0, 1500, 3000, 6001]
    assert [arrival.work_ms for arrival in read] == [15_000, 14_700, 30, 300]


def test_azure_requests_are_sessions_of_their_own(written: Callable[[str], Path]) -> None:
    read = list(read_arrivals(written(AZURE)))
    assert [arrival.at_ms for arrival in read] == [0, 52]
    assert [arrival.session_id for arrival in read] == ["row2", "row3"]
    assert (read[0].tokens_in, read[0].tokens_out) == (4808, 10)


@pytest.mark.parametrize("text", [MOONCAKE, AZURE])
def test_a_gzipped_trace_reads_the_same(written: Callable[[str | bytes], Path], text: str) -> None:
    plain = list(read_arrivals(written(text)))
    assert list(read_arrivals(written(gzip.compress(text.encode())))) == plain


def test_pairs_are_ranked_and_rows_without_a_count_are_counted(written: Callable[[str], Path]) -> None:
    counts = read_pairs(written(PAIRS))
    assert [(pair.source, pair.target, pair.weight) for pair in counts.pairs] == [
        ("en", "zh-tw", 3_000_000),
        ("en", "es", 1_275_297),
    ]
    assert counts.uncounted == 1


def test_named_churn_is_read_as_it_stands(written: Callable[[str], Path]) -> None:
    assert read_churn(written(NAMED))[-1] == Churn(at_ms=60_000, change="remove", name="node1")


def test_counted_churn_does_not_flap_where_echoes_overlap(written: Callable[[str], Path]) -> None:
    read = [(churn.at_ms, churn.change, churn.name) for churn in read_churn(written(COUNTED))]
    assert read == [
        (0, "add", "spot1"),
        (0, "add", "spot2"),
        (60_000, "remove", "spot1"),
        (363_000, "add", "spot3"),
        (363_000, "add", "spot4"),
    ]


def arrivals(path: Path) -> Any:
    return list(read_arrivals(path))


MALFORMED: list[tuple[Callable[[Path], Any], str | bytes, str]] = [
    (arrivals, "", "trace:1: is neither a Mooncake trace"),
    (arrivals, "hello\n", "trace:1: is neither a Mooncake trace"),
    (arrivals, MOONCAKE + "{\n", "trace:6: Input data was truncated: give timestamp"),
    (
        arrivals,
        '{"timestamp": 0, "input_length": 1, "output_length": 1}',
        "trace:1: Object missing required field `hash_ids`",
    ),
    (arrivals, MOONCAKE.replace("500", '"x"'), "trace:1: Expected `int`, got `str`"),
    (arrivals, MOONCAKE.replace("500", "-1"), "trace:1: Expected `int` >= 0"),
    (arrivals, MOONCAKE.replace("6001", "1"), "trace:5: timestamp 1 goes back in time: sort the file"),
    (arrivals, AZURE.replace("Generated", ""), "trace:1: the header is"),
    (arrivals, AZURE.replace(",8\r", "\r"), "trace:3: has 2 columns: give TIMESTAMP"),
    (arrivals, AZURE.replace("3180", "many"), "trace:3: invalid literal for int"),
    (arrivals, AZURE.replace("18:17:04", "25:17:04"), "trace:3: "),
    (
        arrivals,
        AZURE.replace("18:17:04", "18:17:01"),
        "trace:3: TIMESTAMP 2023-11-16 18:17:01.0319600 goes back in time",
    ),
    (arrivals, b'{"timestamp": \xff}', "trace:1: is not UTF-8"),
    (arrivals, gzip.compress(MOONCAKE.encode(), mtime=0)[:60], "the gzip data is damaged"),
    (read_pairs, PAIRS.replace("alignment_pairs", "count"), "trace:1: the header lacks alignment_pairs"),
    (read_pairs, PAIRS.replace("3000000", "3e6"), "trace:3: alignment_pairs is '3e6': give a whole number"),
    (read_pairs, PAIRS.replace("en,es", "en,en"), "trace:2: 'en' and 'en' are no pair"),
    (read_pairs, PAIRS + "en,de\n", "trace:5: has 2 columns"),
    (read_pairs, PAIRS.splitlines()[0], "trace: no pair has a count"),
    (read_churn, "", "trace: is empty"),
    (read_churn, NAMED + "70000,leave,node2\n", "trace:4: Invalid enum value 'leave'"),
    (read_churn, NAMED + "soon,remove,node2\n", "trace:4: Expected `int`"),
    (read_churn, NAMED + "70000,remove\n", "trace:4: "),
    (read_churn, NAMED + "70000,remove,node1\n", "trace:4: remove node1, which is not there"),
    (read_churn, NAMED + "70000,add,node2\n", "trace:4: add node2, which is already there"),
    (read_churn, NAMED + "50000,add,node3\n", "trace:4: 50000 goes back in time"),
    (read_churn, COUNTED + "2021-12-10, 13:13:48\n", "trace:8: "),
    (read_churn, COUNTED + "2021-12-10, 13:13:48, -1\n", "trace:8: count is -1"),
]


@pytest.mark.parametrize(("read", "text", "complaint"), MALFORMED)
def test_a_malformed_line_is_named_with_a_remedy(
    written: Callable[[str | bytes], Path], read: Callable[[Path], Any], text: str | bytes, complaint: str
) -> None:
    with pytest.raises(TraceError) as caught:
        read(written(text))
    assert complaint in str(caught.value)
    assert ": give " in str(caught.value) or any(
        word in str(caught.value) for word in ("sort the", "fetch", "each remove")
    )


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="nowhere: cannot be read: No such file"):
        read_arrivals(tmp_path / "nowhere")


@needs_data
def test_the_published_arrivals_read_whole() -> None:
    mooncake = list(read_arrivals(DATA / "mooncake-conversation" / "conversation_trace.jsonl.gz"))
    assert len(mooncake) == 5719
    assert len({arrival.session_id for arrival in mooncake}) == 3690
    for kind, rows in (("code", 5100), ("conv", 9754)):
        read = list(read_arrivals(DATA / "azure-llm-2023" / f"AzureLLMInferenceTrace_{kind}.csv.gz"))
        assert len(read) == rows
        assert [arrival.at_ms for arrival in read] == sorted(arrival.at_ms for arrival in read)


@needs_data
def test_the_published_pairs_and_churn_read_whole() -> None:
    counts = read_pairs(DATA / "language-pairs" / "opus_wikimedia_pairs.csv.gz")
    assert (len(counts.pairs), counts.uncounted) == (2575, 79)
    assert sum(pair.weight for pair in counts.pairs) == 12_864_080
    assert len(read_churn(DATA / "bamboo-spot-churn" / "p3-trace.csv.gz")) == 344
    running = most = 0
    for churn in read_churn(DATA / "bamboo-spot-churn" / "v100x1-east1c.txt.gz"):
        running += 1 if churn.change == "add" else -1
        most = max(most, running)
    assert most == 80
