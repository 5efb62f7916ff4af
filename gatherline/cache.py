"""A folder of results that cost seconds to make, shared by all runs and processes: named by content, limited in size.

An entry is ``KIND/KEY.entry``: a line with the SHA-256 of what follows, then the bytes. Written aside and renamed, so
it is there as a whole or not at all; verified when read, and a damaged one is removed, told and made again. Past the
limit the least recently used go, what is quickest to make first; any entry may vanish at any time. A folder that cannot
be written costs speed and nothing else. Knows nothing of what it holds. Left out: encryption, folders whose users
distrust each other.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from gatherline.byte_size import read_byte_size
from gatherline.request_error import RequestError

FOLDER, LIMIT = "GATHERLINE_CACHE", "GATHERLINE_CACHE_LIMIT"  # environment variables
OFF = "off"
DEFAULT_LIMIT = "2 GiB"
KINDS = ("levels", "packings")  # folders inside the cache's own, the costliest to make first: the last make room first
_SUFFIX, _ASIDE = ".entry", ".aside"
_SEAL_BYTES = 64 + 1  # hex digits and a newline
_ORPHAN_S = 3600.0  # an aside file this old belongs to a process that was killed: writing one takes seconds
_LOCKS = 64  # files, so that keys share them: they are never removed, which would let two hold one lock
_LOCK_FOLDER, _TAG_NAME = "locks", "CACHEDIR.TAG"
_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"  # CACHEDIR.TAG, by which backups know a cache; bford.info/cachedir
)


def _to_stderr(text: str) -> None:
    print(f"simulate: note: {text}", file=sys.stderr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file of the cache."""

    kind: str
    path: Path
    bytes: int
    used_s: float  # when it was last written or read, seconds since 1970


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cache:
    """A folder of entries, at most ``limit_bytes`` together. ``note`` is told, once each, what users should know."""

    folder: Path
    limit_bytes: int
    note: Callable[[str], None] = _to_stderr
    _told: set[str] = field(init=False, repr=False, default_factory=set)

    def path(self, kind: str, key: str) -> Path:
        """Return where the entry ``key``, which is lower-case letters and digits, lies."""
        if kind not in KINDS or not key.isalnum() or not key.isascii() or key != key.lower():
            raise ValueError(f"cache entry {kind}/{key}: its kind must be one of {', '.join(KINDS)}, its key plain")
        return self.folder / kind / f"{key}{_SUFFIX}"

    def read(self, kind: str, key: str) -> bytes | None:
        """Return the bytes of an entry, verified, and mark it as used; None where it is not there or damaged."""
        path = self.path(kind, key)
        try:
            sealed = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._tell(f"{path} cannot be read ({error.strerror}): it is made again")
            return None
        if not _intact(sealed):
            self._tell(f"{path} is damaged: it is removed and made again")
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return None
        with suppress(OSError):  # it may be gone by now, or the folder another user's
            os.utime(path)
        return sealed[_SEAL_BYTES:]

    def write(self, kind: str, key: str, data: bytes) -> bool:
        """Keep ``data`` under ``key`` and return whether that went well; older entries make room."""
        path = self.path(kind, key)
        if len(data) + _SEAL_BYTES > self.limit_bytes:
            return False
        aside = path.with_name(f".{key}.{os.getpid()}.{time.monotonic_ns()}{_ASIDE}")
        try:
            self._prepare(path.parent)
            with aside.open("xb") as stream:
                stream.write(hashlib.sha256(data).hexdigest().encode() + b"\n")
                stream.write(data)
            os.replace(aside, path)
        except OSError as error:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            self._tell(f"the cache {self.folder} takes nothing ({error.strerror}): work goes on without it")
            return False
        self.trim(self.limit_bytes, keep=path)
        return True

    def made(self, kind: str, key: str, make: Callable[[], bytes]) -> bytes:
        """Return an entry's bytes, made by ``make`` and kept where it is not there.

        Of several processes that want it one makes it, and the others wait; where files cannot be locked, each does.
        """
        found = self.read(kind, key)
        if found is not None:
            return found
        with self._lock(key):
            found = self.read(kind, key)  # another process may have made it meanwhile
            if found is not None:
                return found
            data = make()
            self.write(kind, key, data)
        return data

    def entries(self) -> list[Entry]:
        """Return what the cache holds, by kind and name."""
        found = []
        for kind in KINDS:
            for path, status in _files(self.folder / kind, _SUFFIX):
                found.append(Entry(kind=kind, path=path, bytes=status.st_size, used_s=status.st_mtime))
        return sorted(found, key=lambda entry: (entry.kind, entry.path.name))

    def trim(self, limit_bytes: int, *, keep: Path | None = None) -> list[Entry]:
        """Remove the least recently used entries beyond ``limit_bytes``, and what killed processes left."""
        for kind in KINDS:
            for path, status in _files(self.folder / kind, _ASIDE):
                if time.time() - status.st_mtime > _ORPHAN_S:
                    with suppress(OSError):
                        path.unlink()
        entries = self.entries()
        total, removed = sum(entry.bytes for entry in entries), []
        for entry in sorted(entries, key=lambda entry: (-KINDS.index(entry.kind), entry.used_s, entry.path.name)):
            if total <= limit_bytes:
                break
            if entry.path == keep:
                continue
            total -= entry.bytes
            with suppress(OSError):  # another process was first, or still reads it where open files cannot go
                entry.path.unlink()
                removed.append(entry)
        return removed

    def damaged(self) -> list[Entry]:
        """Return the entries whose bytes are not those that were written."""
        found = []
        for entry in self.entries():
            try:
                sealed = entry.path.read_bytes()
            except FileNotFoundError:
                continue
            if not _intact(sealed):
                found.append(entry)
        return found

    def _prepare(self, folder: Path) -> None:
        if folder.is_dir():
            return
        folder.mkdir(parents=True, exist_ok=True)
        tagged = self.folder if _all_ours(self.folder) else folder  # backups leave out all that lies beside a tag
        with suppress(FileExistsError), (tagged / _TAG_NAME).open("x", encoding="ascii") as tag:
            tag.write(_TAG)

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.note(text)

    @contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        """Hold ``key`` against other processes and threads where files can be locked; a killed one lets go."""
        try:
            import fcntl  # not on Windows

            folder = self.folder / _LOCK_FOLDER
            folder.mkdir(parents=True, exist_ok=True)
            place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:2], "big") % _LOCKS
            stream = (folder / f"{place}.lock").open("ab")
        except (ImportError, OSError):
            yield
            return
        with stream:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(stream, fcntl.LOCK_EX)
            yield


def _files(folder: Path, suffix: str) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the plain files of ``folder`` that end so; those that vanish meanwhile are left out."""
    try:
        with os.scandir(folder) as listing:
            entries = [entry for entry in listing if entry.name.endswith(suffix)]
    except OSError:
        return
    for entry in entries:
        with suppress(OSError):
            if entry.is_file(follow_symlinks=False):
                yield Path(entry.path), entry.stat(follow_symlinks=False)


def _all_ours(folder: Path) -> bool:
    """Return whether a folder holds nothing but a cache: someone may have named one with other things in it."""
    return {path.name for path in folder.iterdir()} <= {*KINDS, _LOCK_FOLDER, _TAG_NAME}


def _intact(sealed: bytes) -> bool:
    data = memoryview(sealed)[_SEAL_BYTES:]
    return sealed[:_SEAL_BYTES] == hashlib.sha256(data).hexdigest().encode() + b"\n"


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the folder that the environment means, None where it turns the cache off. Raises RequestError."""
    asked = environment.get(FOLDER, "")
    if asked.lower() == OFF:
        return None
    if asked:
        folder = Path(asked).expanduser()
    elif environment.get("XDG_CACHE_HOME", ""):
        folder = Path(environment["XDG_CACHE_HOME"]) / "gatherline"
    else:
        try:
            folder = Path.home() / ".cache" / "gatherline"
        except RuntimeError:  # an account without a home
            return None
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"{FOLDER} is {folder}, and must be a folder, or {OFF}")
    return folder.absolute()


def cache_limit(environment: Mapping[str, str] = os.environ) -> int:
    """Return the most bytes that the cache may hold. Raises RequestError."""
    return read_byte_size(environment.get(LIMIT, "") or DEFAULT_LIMIT, LIMIT)


def user_cache(environment: Mapping[str, str] = os.environ, note: Callable[[str], None] = _to_stderr) -> Cache | None:
    """Return the cache that the environment means, None where it is off. Raises RequestError."""
    folder = cache_folder(environment)
    return None if folder is None else Cache(folder=folder, limit_bytes=cache_limit(environment), note=note)
