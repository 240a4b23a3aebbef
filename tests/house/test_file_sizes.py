"""The sizes of source files, with named exceptions that may only shrink, and of folders."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TABLE = tomllib.loads(Path(__file__).with_name("file_sizes.toml").read_text())
FOLDERS = ("streamsched", "lua", "reference", "tests", "benchmarks")
NOT_OURS = {"node_modules", "screenshots", "__pycache__"}


def files() -> Iterator[tuple[str, int]]:
    """Yield the path of each source file below the root, and its lines."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in TABLE["limits"] and not NOT_OURS & set(path.parts):
                yield path.relative_to(ROOT).as_posix(), len(path.read_text().splitlines())


def problems(sizes: Mapping[str, int], limits: Mapping[str, int], exceptions: Mapping[str, int]) -> list[str]:
    """Say what is wrong with the sizes of files, or with the exceptions to their limits."""
    found = [f"{path} is gone: delete its exception" for path in exceptions if path not in sizes]
    for path, lines in sizes.items():
        limit = limits[Path(path).suffix]
        allowed = exceptions.get(path, limit)
        if lines > allowed:
            found.append(f"{path} has {lines} lines, {allowed} are allowed: give a topic of it a file of its own")
        elif path in exceptions and lines <= limit:
            found.append(f"{path} has {lines} lines and needs no exception any more: delete it")
        elif path in exceptions and lines < allowed:
            found.append(f"{path} has {lines} lines: lower its exception from {allowed}")
    return found


def test_no_file_outgrows_its_limit_and_no_exception_is_larger_than_its_file() -> None:
    assert problems(dict(files()), TABLE["limits"], TABLE["exceptions"]) == []


@pytest.mark.parametrize(
    ("lines", "exception", "problem"),
    [
        (400, None, None),
        (401, None, "401 lines, 400 are allowed"),
        (500, 500, None),
        (501, 500, "501 lines, 500 are allowed"),
        (499, 500, "lower its exception from 500"),
        (400, 500, "needs no exception any more"),
        (None, 500, "is gone"),
    ],
)
def test_an_exception_fits_its_file_to_the_line(lines: int | None, exception: int | None, problem: str | None) -> None:
    sizes = {} if lines is None else {"one.py": lines}
    found = problems(sizes, {".py": 400, ".lua": 150}, {} if exception is None else {"one.py": exception})
    assert [problem in text for text in found if problem] == [True] * (problem is not None)
    assert len(found) == (problem is not None)


@pytest.mark.parametrize("name", ["lua/advance.lua", "streamsched/__init__.py", "tests/house/test_file_sizes.py"])
def test_the_files_that_are_measured_are_those_of_the_tree(name: str) -> None:
    assert name in dict(files())


MOST_FILES = 14
"""How many files a folder of code may hold."""

FULL_FOLDERS = {
    "lua": "the scripts that Python calls: one file for each call",
    "lua/fold": "one file for each event",
}
"""Folders that may hold more, and why."""


def test_no_folder_of_code_holds_more_files_than_a_reader_can_survey() -> None:
    held = Counter(
        path.parent.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not NOT_OURS & set(path.parts)
    )
    assert {folder for folder, count in held.items() if count > MOST_FILES} == set(FULL_FOLDERS)
