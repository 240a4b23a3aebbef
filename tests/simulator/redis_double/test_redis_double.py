"""The server double against the servers it stands for: what it answers, and what it holds, must be the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from redis import Redis

from streamsched.server.embedded import EmbeddedServer

from ..run import Run
from ..world import START_MS
from .double import Double
from .mirror import Mirror, without_chance
from .values import ReplyError

SEEDS = 25

Command = tuple[Any, ...]

COMMANDS: dict[str, list[Command]] = {
    "hashes": [
        ("HSET", "h", "a", "1", "b", "2"),
        ("HSET", "h", "a", "3", "c", "4"),
        ("HSETNX", "h", "a", "4"),
        ("HSETNX", "h", "d", "4"),
        ("HSETNX", "h2", "a", "1"),
        ("RENAME", "h2", "h3"),
        ("RENAME", "none", "h3"),
        ("HGET", "h", "a"),
        ("HGET", "h", "z"),
        ("HGET", "none", "a"),
        ("HMGET", "h", "c", "z", "a"),
        ("HMGET", "none", "a", "b"),
        ("HGETALL", "h"),
        ("HGETALL", "none"),
        ("HKEYS", "h"),
        ("HLEN", "h"),
        ("HEXISTS", "h", "a"),
        ("HSTRLEN", "h", "a"),
        ("HSTRLEN", "h", "none"),
        ("HINCRBY", "h", "n", "5"),
        ("HINCRBY", "h", "n", "-7"),
        ("HINCRBY", "h", "a", "1"),
        ("HSET", "h", "text", "x"),
        ("HINCRBY", "h", "text", "1"),
        ("HSET", "h", "odd"),
        ("HDEL", "h", "a", "z", "a"),
        ("HDEL", "h", "b", "c", "n", "text"),
        ("EXISTS", "h"),
        ("HDEL", "h", "b"),
        ("SET", "s", "text"),
        ("HGET", "s", "a"),
        ("HSET", "s", "a", "1"),
        ("HINCRBY", "s", "a", "1"),
    ],
    "sets": [
        ("SADD", "k", "b", "a", "b"),
        ("SADD", "k", "a", "c"),
        ("SCARD", "k"),
        ("SISMEMBER", "k", "a"),
        ("SISMEMBER", "k", "z"),
        ("SMISMEMBER", "k", "z", "a"),
        ("SMISMEMBER", "none", "z", "a"),
        ("SMEMBERS", "k"),
        ("SREM", "k", "a", "a", "z"),
        ("SRANDMEMBER", "none"),
        ("SRANDMEMBER", "none", "3"),
        ("SREM", "k", "b"),
        ("SRANDMEMBER", "k"),
        ("SRANDMEMBER", "k", "5"),
        ("SREM", "k", "c"),
        ("TYPE", "k"),
        ("HSET", "h", "a", "1"),
        ("SADD", "h", "a"),
        ("SCARD", "h"),
    ],
    "sorted sets": [
        ("ZADD", "z", "2", "b", "1", "a", "2", "a2"),
        ("ZADD", "z", "1.5", "b"),
        ("ZADD", "z", "CH", "1.5", "b"),
        ("ZADD", "z", "CH", "2", "b"),
        ("ZADD", "z", "CH", "1.5", "b"),
        ("ZADD", "z", "CH", "1", "new"),
        ("ZREM", "z", "new"),
        ("ZADD", "z", "1700000000000", "late", "-109951162777600", "first", "0", "zero"),
        ("ZRANGE", "z", "0", "-1", "WITHSCORES"),
        ("ZRANGE", "z", "1", "2"),
        ("ZRANGE", "z", "-2", "-1", "WITHSCORES"),
        ("ZRANGE", "z", "5", "1"),
        ("ZRANGE", "none", "0", "-1"),
        ("ZRANGEBYSCORE", "z", "-inf", "1700000000000", "WITHSCORES", "LIMIT", "0", "3"),
        ("ZRANGEBYSCORE", "z", "(1", "2"),
        ("ZRANGEBYSCORE", "z", "1", "(2", "LIMIT", "1", "9"),
        ("ZRANGEBYSCORE", "z", "-inf", "+inf", "LIMIT", "0", "-1"),
        ("ZCOUNT", "z", "(0", "2"),
        ("ZCOUNT", "z", "-inf", "1700000000000"),
        ("ZCOUNT", "none", "0", "1"),
        ("ZSCORE", "z", "late"),
        ("ZSCORE", "z", "first"),
        ("ZSCORE", "z", "nobody"),
        ("ZCARD", "z"),
        ("ZREM", "z", "b", "nobody", "b"),
        ("ZREM", "z", "a", "a2", "late", "first", "zero"),
        ("EXISTS", "z"),
        ("RPUSH", "l", "1"),
        ("ZADD", "l", "1", "a"),
        ("ZRANGE", "l", "0", "-1"),
    ],
    "lists and keys": [
        ("RPUSH", "l", "a", "b"),
        ("RPUSH", "l", "c"),
        ("LINDEX", "l", "0"),
        ("LINDEX", "l", "9"),
        ("LINDEX", "l", "-1"),
        ("LRANGE", "l", "0", "-1"),
        ("LLEN", "l"),
        ("LPOP", "l"),
        ("LPOP", "none"),
        ("TYPE", "l"),
        ("TYPE", "none"),
        ("EXISTS", "l", "l", "none"),
        ("PEXPIRE", "l", "100000"),
        ("PEXPIRE", "none", "100000"),
        ("PERSIST", "l"),
        ("PERSIST", "l"),
        ("PERSIST", "none"),
        ("DEL", "l", "l", "none"),
        ("SET", "s", "1"),
        ("GET", "s"),
        ("GET", "none"),
        ("UNLINK", "s"),
        ("SADD", "k", "a"),
        ("GET", "k"),
        ("LPOP", "k"),
        ("SCAN", "0", "MATCH", "k*", "COUNT", "500"),
        ("SCAN", "0", "MATCH", "x*", "COUNT", "500"),
    ],
    "streams": [
        ("XADD", "e", "5-1", "a", "1"),
        ("XADD", "e", "5-1", "a", "1"),
        ("XADD", "e", "4-9", "a", "1"),
        ("XADD", "e", "0-0", "a", "1"),
        ("XADD", "e", "5-*", "a", "2", "b", "3"),
        ("XADD", "e", "7-0", "a"),
        ("XADD", "e", "7-0", "c", "4"),
        ("XADD", "e", "NOMKSTREAM", "MAXLEN", "~", "1000", "7-5", "c", "5"),
        ("XADD", "none", "NOMKSTREAM", "7-5", "c", "5"),
        ("XLEN", "e"),
        ("XRANGE", "e", "-", "+"),
        ("XRANGE", "e", "(5-1", "+", "COUNT", "1"),
        ("XRANGE", "e", "-", "+", "COUNT", "0"),
        ("XREAD", "COUNT", "2", "STREAMS", "e", "none", "0-0", "$"),
        ("XREAD", "COUNT", "9", "STREAMS", "none", "e", "0-0", "5-1"),
        ("XREAD", "COUNT", "2", "STREAMS", "e", "none", "7-5", "$"),
        ("XREVRANGE", "e", "+", "-", "COUNT", "-1"),
        ("XRANGE", "none", "-", "+", "COUNT", "0"),
        ("XRANGE", "e", "5", "5"),
        ("XRANGE", "e", "6-3", "7-0"),
        ("XRANGE", "e", "-", "(7-5"),
        ("XRANGE", "none", "-", "+"),
        ("XREVRANGE", "e", "+", "-", "COUNT", "2"),
        ("XREVRANGE", "e", "7", "5-2"),
        ("XINFO STREAM", "e"),
        ("XINFO STREAM", "none"),
        ("MEMORY USAGE", "e"),
        ("MEMORY USAGE", "none"),
        ("XINFO GROUPS", "e"),
        ("XGROUP SETID", "e", "fold", "5-1", "ENTRIESREAD", "1"),
        ("XGROUP SETID", "none", "fold", "5-1"),
        ("XGROUP CREATE", "none", "fold", "5-1"),
        ("XGROUP CREATE", "e", "fold", "5-1", "MKSTREAM", "ENTRIESREAD", "1"),
        ("XGROUP CREATE", "e", "fold", "5-1"),
        ("XINFO GROUPS", "e"),
        ("XGROUP SETID", "e", "fold", "7-0", "ENTRIESREAD", "3"),
        ("XINFO GROUPS", "e"),
        ("XGROUP SETID", "e", "fold", "5-2"),
        ("XINFO GROUPS", "e"),
        ("XDEL", "e", "5-2", "9-9"),
        ("XINFO STREAM", "e"),
        ("XINFO GROUPS", "e"),
        ("XTRIM", "e", "MINID", "=", "7-1"),
        ("XINFO STREAM", "e"),
        ("XSETID", "e", "7-1"),
        ("XSETID", "e", "9-0", "ENTRIESADDED", "0", "MAXDELETEDID", "5-2"),
        ("XSETID", "e", "9-0", "ENTRIESADDED", "12", "MAXDELETEDID", "9-1"),
        ("XSETID", "e", "9-0", "ENTRIESADDED", "12", "MAXDELETEDID", "5-2"),
        ("XSETID", "none", "9-0"),
        ("XINFO STREAM", "e"),
        ("XTRIM", "e", "MAXLEN", "0"),
        ("XINFO STREAM", "e"),
        ("XINFO GROUPS", "e"),
        ("XADD", "e", "8-0", "a", "1"),
        ("XADD", "e", "9-1", "a", "1"),
        ("XINFO GROUPS", "e"),
        ("XGROUP CREATE", "new", "fold", "0-0", "MKSTREAM", "ENTRIESREAD", "0"),
        ("XLEN", "new"),
        ("XINFO GROUPS", "new"),
        ("XSETID", "new", "4-0", "ENTRIESADDED", "7", "MAXDELETEDID", "4-0"),
        ("XINFO GROUPS", "new"),
        ("XGROUP DELCONSUMER", "new", "fold", "nobody"),
        ("XRANGE", "e", "x", "+"),
        ("SET", "s", "1"),
        ("XADD", "s", "1-1", "a", "1"),
        ("XLEN", "s"),
        ("XRANGE", "s", "-", "+"),
        ("XREAD", "COUNT", "2", "STREAMS", "s", "e", "0-0", "$"),
        ("XREAD", "COUNT", "2", "STREAMS", "e", "s", "0-0", "$"),
    ],
}

JSON = [
    "[]",
    "{}",
    '{"a":[1,2,{"b":null}],"c":"\\u00e9\\n"}',
    '"text"',
    "17",
    "-0.5e3",
    "true",
    "null",
    "",
    "nope",
    "[1,]",
    '{"a"}',
    '["open',
    "{} x",
    ' [ "blank" ] ',
    '"é"',
    '["/", "\\/"]',
]

TOLD = """
local function told(value)
  if value == cjson.null then
    return 'null'
  elseif type(value) ~= 'table' then
    return type(value) .. ' ' .. tostring(value)
  end
  local names, parts = {}, {}
  for name in pairs(value) do
    names[#names + 1] = tostring(name)
  end
  table.sort(names)
  for i, name in ipairs(names) do
    parts[i] = name .. ': ' .. told(value[tonumber(name) or name])
  end
  return '{' .. table.concat(parts, ', ') .. '}'
end
"""

LUA = {
    "json": TOLD + "local done, value = pcall(cjson.decode, ARGV[1]) return done and told(value) or 'refused'",
    "json written": "return {cjson.encode({lag_since = 1700000000000}), cjson.encode({waiting = 3}), cjson.encode({})}",
    "a refused read": "local done, problem = pcall(redis.call, 'HGET', KEYS[1], 'f') return {type(problem), problem}",
    "a mistake": "local done, problem = pcall(function() local x return x.y end) return problem",
    "pcall": "return type(redis.pcall('HGET', KEYS[1], 'f').err)",
    "an error reply": "return redis.error_reply('MINE told so')",
    "replies": "return {1, 2.9, 'text', false, true, {3, {}}, redis.status_reply('FINE')}",
    "nothing": "return nil",
    "holes": "return redis.call('HMGET', KEYS[2], 'a', 'b', 'c')",
    "states": "local reply = redis.call('XGROUP', 'CREATE', KEYS[3], 'g', '0-0', 'MKSTREAM') return reply.ok",
    "numbers": "redis.call('HSET', KEYS[2], 'n', 1700000000000, 'm', 3) return redis.call('HMGET', KEYS[2], 'n', 'm')",
    "nested": "redis.call('XADD', KEYS[4], '1-1', 'a', 'b') return redis.call('XRANGE', KEYS[4], '-', '+')",
}


@pytest.fixture
def sync(server: EmbeddedServer) -> Iterator[Redis]:
    client = Redis.from_url(server.url, decode_responses=True, protocol=2, encoding="latin-1")
    yield client
    client.flushall()
    client.close()


@pytest.fixture
def mirror(sync: Redis) -> Mirror:
    return Mirror(random.Random(0), START_MS, sync)


@pytest.mark.parametrize("about", COMMANDS)
def test_a_command_is_answered_as_the_server_answers_it(mirror: Mirror, about: str) -> None:
    for name, *args in COMMANDS[about]:
        with suppress(ReplyError):  # both refused, in the same words
            mirror.both(name, *args)
    mirror.compare()


def test_the_table_holds_every_command_that_the_double_knows() -> None:
    known = Double(random.Random(0), START_MS).space.commands.keys()
    asked = {command[0] for commands in COMMANDS.values() for command in commands}
    assert known - asked == {"TIME", "INFO", "XREADGROUP NOACK"}, "two are the server's own, the third is no command"


def test_what_a_script_finds_around_it_is_what_a_server_gives_it(mirror: Mirror) -> None:
    mirror.both("SET", "text", "x")
    mirror.both("HSET", "hash", "b", "2")
    for body in LUA.values():
        for argument in JSON if "cjson" in body else [""]:
            with suppress(ReplyError):
                mirror.both("EVAL", body, "4", "text", "hash", "new", "stream", argument)
    mirror.compare()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_whole_run_is_the_same_on_the_server(sync: Redis, seed: int) -> None:
    usual: dict[Any, Any] = sync.config_get("stream-node-max-*")
    for name in usual:
        sync.config_set(name, 0)  # the double trims no whole nodes, and a run may hold more than one of the usual size
    with without_chance(), ExitStack() as after:
        for name, value in usual.items():
            after.callback(sync.config_set, name, value or 0)
        run = Run(seed, server=lambda rng, now_ms: Mirror(rng, now_ms, sync))
        outcome = run.go()
        assert outcome.violation == ""
        mirror = run.world.server
        assert isinstance(mirror, Mirror)
        mirror.compare()
