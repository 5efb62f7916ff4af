"""What ``simulate cache`` does and tells: folder, limit, entries and bytes by kind; clearing, trimming, verifying."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass

from gatherline.byte_size import byte_size, read_byte_size
from gatherline.cache import FOLDER, KINDS, LIMIT, OFF, Entry, user_cache

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class KindUse:
    """How many entries of a kind there are, and their bytes."""

    kind: str
    entries: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheReport:
    """``folder`` None: turned off. ``removed`` counts entries and bytes; ``verified`` None: nobody asked."""

    folder: str | None
    limit_bytes: int
    uses: tuple[KindUse, ...] = ()
    removed: KindUse | None = None
    verified: int | None = None
    damaged: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return what ``--json`` prints."""
        said = {
            "schema": SCHEMA,
            "folder": self.folder,
            "limit_bytes": self.limit_bytes,
            "bytes": sum(use.bytes for use in self.uses),
            "kinds": [{"kind": use.kind, "entries": use.entries, "bytes": use.bytes} for use in self.uses],
            "removed": None if self.removed is None else {"entries": self.removed.entries, "bytes": self.removed.bytes},
            "verified": self.verified,
            "damaged": list(self.damaged),
        }
        return json.dumps(said, indent=2) + "\n"

    def to_text(self) -> str:
        """Return what the terminal shows."""
        if self.folder is None:
            return f"The cache is off ({FOLDER}={OFF}).\n"
        lines = [f"folder  {self.folder}", f"limit   {byte_size(self.limit_bytes)} ({LIMIT})", ""]
        lines.append(f"{'kind':10}{'entries':>9}{'bytes':>14}{'':>12}")
        whole = KindUse(
            kind="total", entries=sum(use.entries for use in self.uses), bytes=sum(use.bytes for use in self.uses)
        )
        for use in (*self.uses, whole):
            lines.append(f"{use.kind:10}{use.entries:>9}{use.bytes:>14}{byte_size(use.bytes):>12}")
        if self.removed is not None:
            lines += ["", f"removed {_counted(self.removed.entries)}, {byte_size(self.removed.bytes)}"]
        if self.verified is not None:
            lines += ["", f"verified {_counted(self.verified)}, {len(self.damaged)} damaged"]
            lines += [f"damaged, removed: {path}" for path in self.damaged]
        return "\n".join(lines) + "\n"


def cache_report(*, clear: bool = False, limit: str | None = None, verify: bool = False) -> CacheReport:
    """Return what the user's cache holds, after what was asked of it is done. Raises RequestError."""
    keep_bytes = 0 if clear else None if limit is None else read_byte_size(limit, "--limit")
    cache = user_cache()
    if cache is None:
        return CacheReport(folder=None, limit_bytes=0)
    removed, verified, damaged = None, None, list[Entry]()
    if keep_bytes is not None:
        gone = cache.trim(keep_bytes)
        removed = KindUse(kind="removed", entries=len(gone), bytes=sum(entry.bytes for entry in gone))
    if verify:
        verified, damaged = len(cache.entries()), cache.damaged()
        for entry in damaged:
            with suppress(OSError):
                entry.path.unlink(missing_ok=True)
    entries = cache.entries()
    return CacheReport(
        folder=str(cache.folder), limit_bytes=cache.limit_bytes, uses=tuple(_use(kind, entries) for kind in KINDS),
        removed=removed, verified=verified, damaged=tuple(str(entry.path) for entry in damaged),
    )  # fmt: skip


def _use(kind: str, entries: list[Entry]) -> KindUse:
    own = [entry.bytes for entry in entries if entry.kind == kind]
    return KindUse(kind=kind, entries=len(own), bytes=sum(own))


def _counted(entries: int) -> str:
    return f"{entries} {'entry' if entries == 1 else 'entries'}"
