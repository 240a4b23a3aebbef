"""Every key of a partition as a page: ``docs/state.md``."""

from __future__ import annotations

from streamsched.contract import soft_state
from streamsched.contract.keys import KEYS, Key, Keys
from streamsched.contract.soft_state import SOFT_KEYS

from .markdown import table, written_from

HEAD = """\
# State

A partition is a set of keys that share the prefix `<namespace>:{<partition>}:`, by default `scheduler:{0}:`. The braces
are a hash tag: in a cluster all keys of a partition are in one slot. No key has a TTL except reply streams, and an
inbox that no node reads any more.

The log and the streams beside it are input and output. All other keys are state, the fold of the log: `streamsched
rebuild` drops them and folds the log again. The column *in a rebuild* says which key is which:

- **kept**: a rebuild leaves the key alone.
- **folded**: a rebuild drops the key and folds it again. The bytes are the same afterwards.
- **soft**: a rebuild drops the key. Heartbeats and calls fill it again, and `streamsched verify` does not compare it.

The column *written by* names the writer:

- **producers**, **nodes**, **operators**: the programs that append events, with `XADD` or through a script.
- **fold**: the fold of an event (`lua/fold/`).
- **index**: the reindex step, which derives the key from folded keys (`lua/state/index.lua`).
- **call**: the script call itself, outside of any fold.

The column *bounded by* says what keeps a key from growing for ever. Without an archiver the log, and the dead letters
about its entries, have no bound.
"""

SOFT = """\
## Soft fields

Some fields of folded hashes are soft:

"""


def in_rebuild(name: str, key: Key) -> str:
    """Return what a rebuild does with a key."""
    if name in SOFT_KEYS:
        return "soft"
    return "folded" if Keys().is_state(Keys()(name, *("x",) * key.shape.count("%s"))) else "kept"


PLACEHOLDERS = {
    "inbox": ("mailbox",),
    "reply": ("client",),
    "ingress": ("source",),
    "node_info": ("node_id",),
    "node_jobs": ("node_id",),
    "pool_info": ("pool_id",),
    "pool_members": ("pool_id",),
    "pool_online": ("pool_id",),
    "pool_ranked": ("pool_id",),
    "lang": ("src_lang", "tgt_lang"),
    "serving": ("src_lang", "tgt_lang"),
    "set_pools": ("languages",),
    "set_open": ("languages",),
    "set_waiting": ("languages",),
    "job": ("job_id",),
    "session": ("session_id",),
    "waiting": ("src_lang", "tgt_lang"),
    "source": ("source",),
    "source_jobs": ("source",),
    "kept": ("source",),
    "source_pools": ("source",),
}
"""What each ``%s`` of a shape stands for."""


def shown(name: str) -> str:
    """Return a key as a reader writes it, with names in place of ``%s``."""
    return KEYS[name].shape % tuple(f"<{part}>" for part in PLACEHOLDERS.get(name, ()))


def text() -> str:
    """Return the page."""
    rows = [
        (f"`{shown(name)}`", key.type, key.writers, in_rebuild(name, key), key.meaning, key.bound)
        for name, key in KEYS.items()
    ]
    soft = [
        ("`meta`", soft_state.SOFT_META_FIELDS),
        ("`node:info:<node_id>`", soft_state.SOFT_NODE_FIELDS),
        ("`source:<source>`", soft_state.SOFT_SOURCE_FIELDS),
    ]
    fields = [(name, " ".join(f"`{field}`" for field in names)) for name, names in soft]
    return "\n".join(
        [
            written_from("streamsched/contract/keys.py") + HEAD,
            "## Keys\n",
            table(rows, ("key, behind the prefix", "type", "written by", "in a rebuild", "meaning", "bounded by")),
            SOFT + table(fields, ("hash", "soft fields")),
        ]
    )
