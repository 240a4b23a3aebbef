"""Odd values: strategies for what a field of each kind might hold, right or wrong."""

from __future__ import annotations

import json
import string

from hypothesis import strategies as st

LANGS = ["en", "zh", "de", "fr", "zh-Hant", "pt-BR"]

NOT_UTF8 = ["\udcff", "ok\udcc3", "\udced\udca0\udc80", "\udcf4\udc90\udc80\udc80", "\udcc0\udc80"]
LONG = ["a" * 256, "a" * 257, "é" * 129, "x" * 4097]
CONTROL = ["\x00", "a\x00b", "a\nb", "\x7f", "\u2028"]
NUMBERS = ["0", "-0", "1", "007", "+1", "1e3", "1.0", "0x10", "nan", "-1", "100", "101", "-100", "1000", "1001", "١"]
LIMITS = ["31536000000", "31536000001", " 1", "1 ", "9" * 15, "9" * 16, "9" * 17, "-" + "9" * 15]
SIGNS = [*'[]{},:"+-.eExun/\\ \n\x00\x0b10é', "\udcff"]
PIECES = ['"a"', '"id"', '"name"', "null", "true", "nan", "Infinity", "0x1", "1e9"]
ESCAPES = ['"\\ud800"', '"\\udc00"', '"\\ud83d\\ude00"', '"\\u0000"', "\\u0041"]
DEEP = ["[" * 1000 + "]" * 1000, "[" * 1001 + "]" * 1001, '{"a":' * 1001 + "1" + "}" * 1001]
POOL_IDS = [0, 1.0, 1.5, -1, -0.0, 10**15, 10**15 - 1, 1e3, "1", "a", "A", "a.b_c-d", "", "x" * 257, "a:b", "é", True]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


text = st.one_of(
    st.sampled_from(["", " ", "é", "嗯", "😀", "*", "a:b", "%s", *NOT_UTF8, *LONG, *CONTROL]),
    st.text(st.characters(codec="utf-8"), max_size=8),
    # bytes of broken characters between whole ones: what stands around one must not make another
    st.text(st.sampled_from([*string.ascii_letters, "-", "é", *"\udc80\udce2\udc82\udcac "]), max_size=6),
)
number = st.one_of(st.sampled_from([*NUMBERS, *LIMITS]), st.integers(-(10**16), 10**16).map(str))
value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
json_text = st.one_of(
    st.lists(st.sampled_from([*SIGNS, *PIECES, *ESCAPES]), max_size=10).map("".join),
    value.map(_json),
    value.map(lambda given: json.dumps(given, indent=1)),
    st.sampled_from([*DEEP, '"' + "x" * 65_535 + '"']),
    st.floats().map(repr),
    st.floats(allow_nan=False, allow_infinity=False).map(float.hex),
)
codes = st.sampled_from([*LANGS[:4], *LANGS[:4], "zh-Hant", "EN", "e", "engl", "*", ""])
pool_name = st.lists(codes, max_size=4).map("-".join) | text
pool = st.one_of(
    st.fixed_dictionaries({"name": pool_name}, optional={"id": st.sampled_from(POOL_IDS) | value, "extra": value}),
    st.lists(st.sampled_from([*LANGS, "x" * 36, "-a", "a-"]), min_size=1, max_size=4).map(
        lambda listed: {"name": "-".join(listed), "languages": listed}
    ),
    st.fixed_dictionaries({"name": pool_name, "languages": st.lists(st.sampled_from(LANGS) | value) | value}),
    value,
)
pools_text = st.one_of(st.lists(pool, max_size=4).map(_json), pool.map(_json), json_text)

OF_KIND = {
    "json": json_text,
    "pools": pools_text,
    "ts": number,
    "ms": number,
    "count": number,
    "priority": number,
    "amount": number,
}
"""Something odd of a field's own kind; of any other kind it is ``text``."""
