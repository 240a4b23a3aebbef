"""The streams of the double, as Redis and Valkey keep them: ids, what was ever added, groups and their cursors."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from .keyspace import OK, KeySpace, shown
from .values import ZERO, Group, Id, ReplyError, Status, Stream, id_of, text_of

Entry = list[Any]
"""``[id, [field, value, …]]``."""

TOO_SMALL = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
NO_KEY = (
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option "
    "to create an empty stream automatically."
)


class StreamSpace(KeySpace):
    """A key space with streams."""

    def xadd(self, key: str, *given: Any) -> str | None:
        args = list(given)
        create = True
        if args[0] == "NOMKSTREAM":
            create = False
            args.pop(0)
        if args[0] in ("MAXLEN", "MINID"):
            # `~` trims whole nodes of a hundred entries: below that, as here, it trims nothing
            if args[1] != "~":
                raise NotImplementedError("XADD with an exact bound")
            del args[:3]
        wanted, fields = str(args[0]), args[1:]
        if len(fields) % 2 or not fields:
            raise ReplyError("ERR wrong number of arguments for 'xadd' command")
        stream = self.read(key, Stream)
        if stream is None and not create:
            return None
        last = stream.last if stream else ZERO
        entry_id = self._next_id(wanted, last)
        if entry_id == ZERO:
            raise ReplyError("ERR The ID specified in XADD must be greater than 0-0")
        if entry_id <= last:
            raise ReplyError(TOO_SMALL)
        stream = self._write(key, Stream)
        text = text_of(entry_id)
        stream.ids.append(entry_id)
        stream.entries.append((text, [field if type(field) is str else shown(field) for field in fields]))
        stream.last = entry_id
        stream.added += 1
        return text

    def _next_id(self, wanted: str, last: Id) -> Id:
        if wanted == "*":
            return (self.now_ms, 0) if self.now_ms > last[0] else (last[0], last[1] + 1)
        if wanted.endswith("-*"):
            ms = int(wanted[:-2])
            if ms < last[0]:
                raise ReplyError(TOO_SMALL)
            return (ms, last[1] + 1) if ms == last[0] else (ms, 0)
        return id_of(wanted)

    def xlen(self, key: str) -> int:
        stream = self.read(key, Stream)
        return len(stream.ids) if stream else 0

    def xrange(self, key: str, low: str, high: str, *options: Any) -> list[Entry] | None:
        stream = self.read(key, Stream)
        if stream is None:
            return []
        if options and int(options[1]) <= 0:
            return None
        start, end = stream.between(low, high)
        if options:
            end = min(end, start + int(options[1]))
        return [[text, fields] for text, fields in stream.entries[start:end]]

    def xread(self, *given: str) -> list[list[Any]] | None:
        """``XREAD COUNT … STREAMS …``, which waits for nothing."""
        count, rest = int(given[1]), given[3:]
        found: list[list[Any]] = []
        for key, after in zip(rest[: len(rest) // 2], rest[len(rest) // 2 :], strict=True):
            stream = self.read(key, Stream)
            if stream is not None and after != "$" and (entries := self.xrange(key, f"({after}", "+", "COUNT", count)):
                found.append([key, entries])
        return found or None

    def xrevrange(self, key: str, high: str, low: str, *options: Any) -> list[Entry] | None:
        stream = self.read(key, Stream)
        if stream is None:
            return []
        if options and int(options[1]) <= 0:
            return None
        start, end = stream.between(low, high)
        if options:
            start = max(start, end - int(options[1]))
        return [[text, fields] for text, fields in reversed(stream.entries[start:end])]

    def xdel(self, key: str, *ids: str) -> int:
        stream = self.read(key, Stream)
        gone = 0
        for entry_id in map(id_of, ids):
            if stream is None or entry_id not in stream.ids:
                continue
            self.own(key)
            at = stream.ids.index(entry_id)
            del stream.ids[at], stream.entries[at]
            stream.deleted = max(stream.deleted, entry_id)
            gone += 1
        return gone

    def xtrim(self, key: str, how: str, *given: Any) -> int:
        stream = self.read(key, Stream)
        exact, bound = given[0] != "~", given[-1] if given[0] in ("~", "=") else given[0]
        if stream is None or not exact:
            return 0
        self.own(key)
        if how == "MINID":
            return stream.trim_to(bisect_left(stream.ids, id_of(shown(bound))))
        return stream.trim_to(max(len(stream.ids) - int(bound), 0))

    def xsetid(self, key: str, last: str, *options: Any) -> Status:
        stream = self.read(key, Stream)
        if stream is None:
            raise ReplyError("ERR no such key")
        wanted = dict(zip(options[::2], options[1::2], strict=True))
        last_id, added = id_of(last), int(wanted.get("ENTRIESADDED", -1))
        deleted = id_of(wanted["MAXDELETEDID"]) if "MAXDELETEDID" in wanted else None
        if deleted is not None and last_id < deleted:
            raise ReplyError("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id")
        if deleted is None and last_id < stream.deleted:
            raise ReplyError("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id")
        if stream.ids and last_id < stream.ids[-1]:
            raise ReplyError("ERR The ID specified in XSETID is smaller than the target stream top item")
        if stream.ids and 0 <= added < len(stream.ids):
            raise ReplyError("ERR The entries_added specified in XSETID is smaller than the target stream length")
        self.own(key)
        stream.last = last_id
        if added >= 0:
            stream.added = added
        if deleted is not None and deleted != ZERO:
            stream.deleted = deleted
        return OK

    def xgroup_create(self, key: str, name: str, at: str, *options: Any) -> Status:
        stream = self.read(key, Stream)
        if stream is None and "MKSTREAM" not in options:
            raise ReplyError(NO_KEY)
        if stream is not None and name in stream.groups:
            raise ReplyError("BUSYGROUP Consumer Group name already exists")
        stream = self._write(key, Stream)
        stream.groups[name] = Group(stream.last if at == "$" else id_of(at), self._read(options))
        return OK

    def xgroup_setid(self, key: str, name: str, at: str, *options: Any) -> Status:
        stream = self.read(key, Stream)
        if stream is None:
            raise ReplyError(NO_KEY)
        if name not in stream.groups:
            raise ReplyError(f"NOGROUP No such consumer group '{name}' for key name '{key}'")
        self.own(key)
        group = stream.groups[name]
        group.last = stream.last if at == "$" else id_of(at)
        group.read = self._read(options)
        return OK

    @staticmethod
    def _read(options: tuple[Any, ...]) -> int | None:
        read = int(options[options.index("ENTRIESREAD") + 1]) if "ENTRIESREAD" in options else -1
        return None if read < 0 else read

    def xgroup_delconsumer(self, key: str, name: str, consumer: str) -> int:
        stream = self.read(key, Stream)
        if stream is None:
            raise ReplyError(NO_KEY)
        if name not in stream.groups:
            raise ReplyError(f"NOGROUP No such consumer group '{name}' for key name '{key}'")
        self.own(key)
        group = stream.groups[name]
        group.consumers = tuple(other for other in group.consumers if other != consumer)
        return 0

    def xreadgroup_noack(self, key: str, name: str, consumer: str, count: int) -> list[Entry]:
        """What ``XREADGROUP GROUP … COUNT … NOACK STREAMS key >`` has for this consumer at once."""
        stream = self.read(key, Stream)
        if stream is None or name not in stream.groups:
            raise ReplyError(f"NOGROUP No such key '{key}' or consumer group '{name}' in XREADGROUP with GROUP option")
        group = stream.groups[name]
        start = stream.between("(" + text_of(group.last), "+")[0]
        found = stream.entries[start : start + count]
        if not found and consumer in group.consumers:
            return []
        self.own(key)
        group = stream.groups[name]
        if consumer not in group.consumers:
            group.consumers = (*group.consumers, consumer)
        if found:
            if group.read is not None and (stream.deleted == ZERO or group.last > stream.deleted):
                group.read += len(found)
            group.last = id_of(found[-1][0])
        return [[text, fields] for text, fields in found]

    def xinfo_stream(self, key: str) -> list[Any]:
        stream = self.read(key, Stream)
        if stream is None:
            raise ReplyError("ERR no such key")
        first, last = (stream.entries[0], stream.entries[-1]) if stream.entries else (None, None)
        return [
            "length",
            len(stream.ids),
            "last-generated-id",
            text_of(stream.last),
            "max-deleted-entry-id",
            text_of(stream.deleted),
            "entries-added",
            stream.added,
            "recorded-first-entry-id",
            text_of(stream.ids[0]) if stream.ids else "0-0",
            "groups",
            len(stream.groups),
            "first-entry",
            list(first) if first else None,
            "last-entry",
            list(last) if last else None,
        ]

    def xinfo_groups(self, key: str) -> list[Any]:
        stream = self.read(key, Stream)
        if stream is None:
            raise ReplyError("ERR no such key")
        return [
            [
                "name",
                name,
                "consumers",
                len(group.consumers),
                "pending",
                0,
                "last-delivered-id",
                text_of(group.last),
                "entries-read",
                group.read,
                "lag",
                stream.lag(group),
            ]
            for name, group in sorted(stream.groups.items())
        ]
