"""A segment gives back every entry to the byte, for any input."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsched.archive import segment
from streamsched.contract.entries import Entry

NAMES = st.one_of(st.sampled_from([b"type", b"job_id", b"deadline_ts", b"extra", b"a b", b""]), st.binary(max_size=5))
VALUES = st.one_of(st.binary(max_size=20), st.sampled_from([b"7", b"007", b"-0", b"+1", b"1e3", b"", "zh→en".encode()]))
FLAT = st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=8).map(
    lambda rows: [part for row in rows for part in row]
)
ENTRIES = st.lists(FLAT, min_size=1, max_size=20).map(
    lambda flats: [Entry(f"{1_700_000_000_000 + n}-{n % 3}", flat) for n, flat in enumerate(flats)]
)


@given(ENTRIES)
def test_what_goes_into_rows_comes_out_of_them_to_the_byte(entries: list[Entry]) -> None:
    assert list(segment.entries_of(segment.table_of(segment.EVENTS, entries))) == entries


@pytest.mark.parametrize(
    ("flat", "job_id", "rest"),
    [
        ([b"type", b"job.started", b"job_id", b"a", b"job_id", b"b"], "b", None),
        ([b"type", b"job.started", b"job_id", b"\xff\xfe"], "\\xff\\xfe", None),
        ([b"type", b"job.started", b"job_id", b"j", b"\xff", b"x"], "j", [("\\xff", "x")]),
        ([b"type", b"job.started", b"job_id", b"j", b"two words", b"x"], "j", [("two words", "x")]),
        ([b"type", b"job.started", b"job_id", b"j", b"", b"\xff", b"", b"x"], "j", [("", "x")]),
    ],
    ids=["sent twice", "value no UTF-8", "name no UTF-8", "name with a blank", "no name, twice"],
)
def test_what_columns_cannot_hold_is_kept_raw_and_read_as_the_fold_reads_it(
    flat: list[bytes], job_id: str, rest: list[tuple[str, str]] | None
) -> None:
    entries = [Entry("1-0", flat), Entry("2-0", [b"type", b"x"])]
    table = segment.table_of(segment.EVENTS, entries)
    assert table.column("raw").null_count == 1
    row = table.to_pylist()[0]
    assert (row["type"], row["job_id"], row["rest"]) == ("job.started", job_id, rest)
    assert list(segment.entries_of(table)) == entries


def test_common_fields_are_columns_of_their_own_and_the_rest_is_a_map(tmp_path: Path) -> None:
    flat = [b"type", b"job.submitted", b"job_id", b"j1", b"deadline_ts", b"1700000000000", b"region", b"eu"]
    segment.write(tmp_path / "s.parquet", [segment.table_of(segment.EVENTS, [Entry("5-1", flat)])], {"first": "5-1"})
    file = pq.ParquetFile(tmp_path / "s.parquet")
    row = file.read().to_pylist()[0]
    assert (row["ms"], row["seq"], row["type"], row["job_id"], row["deadline_ts"]) == (
        5,
        1,
        "job.submitted",
        "j1",
        1_700_000_000_000,
    )
    assert row["rest"] == [("region", "eu")]
    assert segment.metadata_of(file)["first"] == "5-1"
