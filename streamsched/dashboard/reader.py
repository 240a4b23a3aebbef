"""The sources of the dashboard: the live server, and the archive as it grows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..connect.client import connect
from ..contract.keys import Keys
from ..history.history import History
from .log_index.filtered_history import IndexedLog
from .log_index.index import Index

if TYPE_CHECKING:
    from ..archive.reader import Archive


class Reader:
    """Connections to one partition, and its archive if there is one.

    Args:
        url: the live server.
        keys: the partition.
        archive: folder of its archive; ``None`` leaves it out.
    """

    def __init__(self, url: str, keys: Keys, archive: Path | None) -> None:
        self.url, self.keys, self.folder = url, keys, archive
        self.redis: Any = connect(url)
        self.raw: Any = connect(url, decode=False)
        self._archive: Archive | None = None
        self._archive_read = 0

    def check(self) -> None:
        """Open the archive, so that a fault in it is reported before anything is shown.

        Raises:
            ArchiveDamaged: it cannot be read; the text says the remedy.
        """
        self._kept()

    def history(self, index: Index) -> History:
        """Return the present history, for one reader.

        Raises:
            ArchiveDamaged: the archive cannot be read; the text says the remedy.
        """
        return History(self.keys, IndexedLog(self.raw, self.keys, index), self._kept())

    def live(self, index: Index) -> History:
        """Return the live log only, for one reader."""
        return History(self.keys, IndexedLog(self.raw, self.keys, index), None)

    def _kept(self) -> Archive | None:
        if self.folder is None:
            return None
        from ..archive.manifest import MANIFEST  # imported here, because the Parquet extra may be missing
        from ..archive.reader import Archive

        manifest = self.folder / MANIFEST
        changed = manifest.stat().st_mtime_ns if manifest.exists() else 0
        if self._archive is None or changed != self._archive_read:
            self._archive, self._archive_read = Archive.open(self.folder, self.keys), changed
        return self._archive

    async def close(self) -> None:
        """Close the connections."""
        await self.redis.aclose()
        await self.raw.aclose()
