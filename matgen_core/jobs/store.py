"""Long work that outlives whoever asked for it: what was asked, and every finished piece, in one SQLite file.

A piece is known by the hash of its content and of the settings, so nothing is computed twice, whoever asks. Each
finished piece is one transaction: a process that is killed at any moment loses the piece under way and nothing else.
Who works on something holds a lock, which the system lets go when the process is gone, however it went: so work that
was broken off is told from work that goes on.
"""

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from platformdirs import user_data_path

Progress = Literal["waiting", "running", "interrupted", "stopped", "done"]
MAX_PIECES = 100_000  # of one work
MAX_OPEN = 50  # works of all people that are not done
MAX_OPEN_EACH = 3  # of one person
_MAX_CONTENT = 4_000_000  # letters of a piece
_FILE, _LOCKS = "work.sqlite", "locks"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS work (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, title TEXT NOT NULL, settings TEXT NOT NULL, owner TEXT NOT NULL,
    created REAL NOT NULL, stopped INTEGER NOT NULL DEFAULT 0, begun INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS about (work TEXT PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS piece (
    work TEXT NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, content TEXT NOT NULL,
    PRIMARY KEY (work, place)
);
CREATE TABLE IF NOT EXISTS result (key TEXT PRIMARY KEY, row TEXT NOT NULL, rest TEXT NOT NULL, made REAL NOT NULL);
CREATE TABLE IF NOT EXISTS late (key TEXT PRIMARY KEY, seconds REAL NOT NULL);
CREATE INDEX IF NOT EXISTS piece_key ON piece (key);
"""


class FullError(ValueError):
    """Work that is not taken, since too much is under way already."""


@dataclass(frozen=True)
class Work:
    """What somebody asked for, and how it stands.

    Attributes:
        id: Letters and digits.
        kind: What is done with each piece.
        title: What people call it.
        settings: Of the kind; they count as part of every piece.
        owner: Who asked; "" for the command line.
        created: Seconds since 1970.
        n: Pieces.
        n_done: Pieces with a result.
        progress: "waiting" until somebody works on it, "running" while somebody does, "interrupted" if whoever did is
            gone, "stopped" if somebody wanted that, "done".
    """

    id: str
    kind: str
    title: str
    settings: dict[str, Any]
    owner: str
    created: float
    n: int
    n_done: int
    progress: Progress


@dataclass(frozen=True)
class Piece:
    """One piece of a work.

    Attributes:
        place: Its place in the work, from 0.
        name: What people call it.
        key: Hash of content, kind and settings.
        content: What is worked on, as text.
        copies: How many pieces of the work are equal to this one.
    """

    place: int
    name: str
    key: str
    content: str
    copies: int = 1


class Store:
    """Works and results in one folder; may be used from any thread, and by several processes at a time."""

    def __init__(self, folder: Path | None = None) -> None:
        """Open the store in a folder, made if it is not there.

        Args:
            folder: Where; $MATGEN_WORK, or a folder of the user's own data, if it is not given.

        Raises:
            OSError: If it cannot be written.
        """
        self.folder = folder or Path(os.environ.get("MATGEN_WORK") or user_data_path("matgen-explorer") / "work")
        (self.folder / _LOCKS).mkdir(parents=True, exist_ok=True)
        with self._open() as base:
            base.execute("PRAGMA journal_mode=WAL")
            base.executescript(_SCHEMA)

    def add(
        self,
        kind: str,
        title: str,
        settings: Mapping[str, Any],
        pieces: Sequence[tuple[str, str]],
        owner: str = "",
        about: Mapping[str, Any] | None = None,
    ) -> Work:
        """Keep what somebody asks for; nothing is done yet. The same asked for again by the same person is one work.

        Args:
            kind: What is to be done with each piece.
            title: What people call it.
            settings: Of the kind, as JSON holds them.
            pieces: Name and content of each.
            owner: Who asks.
            about: What else belongs to the work and is no part of a piece, as JSON holds it.

        Raises:
            FullError: If too much of this owner, or of all, is not done yet.
            ValueError: If there is no piece, too many, or one that is too long.
        """
        if not 1 <= len(pieces) <= MAX_PIECES:
            raise ValueError(f"{len(pieces):,} pieces of work; one work takes 1 to {MAX_PIECES:,}")
        for name, content in pieces:
            if len(content) > _MAX_CONTENT:
                raise ValueError(f"{name[:80]!r} has {len(content):,} letters; at most {_MAX_CONTENT:,} are taken")
        text, beside = json.dumps(settings, sort_keys=True), json.dumps(about or {}, sort_keys=True)
        name_of_work = _hash(kind, title, text, owner, beside, *(part for piece in pieces for part in piece))[:16]
        if self._works("WHERE work.id = ?", (name_of_work,)):
            return self.work(name_of_work)
        if owner:
            self._check_room(owner)
        with self._open() as base:
            base.execute(
                "INSERT OR IGNORE INTO work (id, kind, title, settings, owner, created) VALUES (?, ?, ?, ?, ?, ?)",
                (name_of_work, kind, title, text, owner, time.time()),
            )
            base.execute("INSERT OR IGNORE INTO about VALUES (?, ?)", (name_of_work, beside))
            base.executemany(
                "INSERT OR IGNORE INTO piece VALUES (?, ?, ?, ?, ?)",
                (
                    (name_of_work, place, name, _hash(kind, text, content), content)
                    for place, (name, content) in enumerate(pieces)
                ),
            )
        return self.work(name_of_work)

    def work(self, work: str) -> Work:
        """Return how a work stands.

        Raises:
            KeyError: If there is none.
        """
        found = self._works("WHERE work.id = ?", (work,))
        if not found:
            raise KeyError(work)
        return found[0]

    def works(self, owner: str | None = None) -> list[Work]:
        """Return the works of an owner, or of all, the newest first."""
        return self._works("", ()) if owner is None else self._works("WHERE work.owner = ?", (owner,))

    def missing(self, work: str, seconds: float = 0.0) -> list[Piece]:
        """Return the pieces that have no result yet, in order; equal ones once.

        Args:
            work: Its id.
            seconds: What a piece may take now: those that were given up after less are among them.
        """
        with self._open() as base:
            rows = base.execute(
                "SELECT MIN(place), name, key, content, COUNT(*) FROM piece LEFT JOIN result USING (key)"
                " LEFT JOIN late USING (key) WHERE work = ? AND (result.key IS NULL OR late.seconds < ?)"
                " GROUP BY key ORDER BY MIN(place)",
                (work, seconds),
            ).fetchall()
        return [Piece(*row) for row in rows]

    def keep(
        self,
        key: str,
        row: Mapping[str, Any],
        rest: Mapping[str, Any] | None = None,
        late: float | None = None,
    ) -> None:
        """Keep the result of a piece: all of it or nothing.

        Args:
            key: Of the piece.
            row: What a table shows of it, as JSON holds it.
            rest: What is asked for one by one, such as the steps on the way.
            late: After how many seconds it was given up; None for any other result.

        Raises:
            OSError: If it cannot be written.
        """
        with self._open() as base:
            base.execute(
                "INSERT OR REPLACE INTO result VALUES (?, ?, ?, ?)",
                (key, json.dumps(row), json.dumps(rest or {}), time.time()),
            )
            if late is None:
                base.execute("DELETE FROM late WHERE key = ?", (key,))
            else:
                base.execute("INSERT OR REPLACE INTO late VALUES (?, ?)", (key, late))

    def rows(self, work: str) -> list[dict[str, Any] | None]:
        """Return the result of each piece, in order; None for one that has none yet."""
        with self._open() as base:
            found = base.execute(
                "SELECT result.row FROM piece LEFT JOIN result USING (key) WHERE work = ? ORDER BY place", (work,)
            ).fetchall()
        return [None if row is None else json.loads(row) for (row,) in found]

    def pieces(self, work: str) -> list[Piece]:
        """Return the pieces of a work, in order."""
        with self._open() as base:
            rows = base.execute("SELECT place, name, key, content FROM piece WHERE work = ? ORDER BY place", (work,))
            return [Piece(*row) for row in rows.fetchall()]

    def about(self, work: str) -> dict[str, Any]:
        """Return what was kept beside the pieces of a work; {} if there is no such work."""
        with self._open() as base:
            found = base.execute("SELECT text FROM about WHERE work = ?", (work,)).fetchone()
        return json.loads(found[0]) if found else {}

    def rest(self, work: str, place: int) -> dict[str, Any]:
        """Return what is kept beside the row of a piece; {} if it has no result."""
        with self._open() as base:
            found = base.execute(
                "SELECT rest FROM piece JOIN result USING (key) WHERE work = ? AND place = ?", (work, place)
            ).fetchone()
        return json.loads(found[0]) if found else {}

    def stop(self, work: str) -> None:
        """Ask whoever works on it to end; what is done stays."""
        self._set(work, stopped=1)

    def is_stopped(self, work: str) -> bool:
        """Tell whether somebody wants it to end, or it was removed."""
        with self._open() as base:
            found = base.execute("SELECT stopped FROM work WHERE id = ?", (work,)).fetchone()
        return found is None or bool(found[0])

    def remove(self, work: str) -> None:
        """Forget a work, and the results that no other work has."""
        with self._open() as base:
            base.execute("DELETE FROM about WHERE work = ?", (work,))
            base.execute("DELETE FROM piece WHERE work = ?", (work,))
            base.execute("DELETE FROM work WHERE id = ?", (work,))
            base.execute("DELETE FROM result WHERE key NOT IN (SELECT key FROM piece)")
            base.execute("DELETE FROM late WHERE key NOT IN (SELECT key FROM piece)")
        self._lock_file(work).unlink(missing_ok=True)

    @contextmanager
    def working_on(self, work: str) -> Iterator[bool]:
        """Hold a work while it is worked on; gives False, and nothing is to be done, if somebody else holds it."""
        lock = FileLock(self._lock_file(work), thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            self._set(work, begun=1, stopped=0)
            yield True
        finally:
            lock.release()

    def _check_room(self, owner: str) -> None:
        still_open = [each for each in self.works() if each.progress in ("waiting", "running")]
        if len(still_open) >= MAX_OPEN:
            raise FullError(f"{len(still_open)} works wait or run here, and at most {MAX_OPEN} may; try again later")
        own = sum(each.owner == owner for each in still_open)
        if own >= MAX_OPEN_EACH:
            raise FullError(f"{own} works of yours wait or run; stop one, or wait until one is done")

    def _set(self, work: str, **values: int) -> None:
        names = ", ".join(f"{name} = ?" for name in values)
        with self._open() as base:
            base.execute(f"UPDATE work SET {names} WHERE id = ?", (*values.values(), work))

    def _works(self, where: str, values: tuple[str, ...]) -> list[Work]:
        with self._open() as base:
            rows = base.execute(
                "SELECT work.id, kind, title, settings, owner, created, stopped, begun, COUNT(piece.key),"
                " COUNT(result.key) FROM work JOIN piece ON piece.work = work.id LEFT JOIN result USING (key)"
                f" {where} GROUP BY work.id ORDER BY created DESC",
                values,
            ).fetchall()
        found = []
        for name, kind, title, settings, owner, created, stopped, begun, n, n_done in rows:
            progress = self._progress(name, stopped, begun, n, n_done)
            found.append(Work(name, kind, title, json.loads(settings), owner, created, n, n_done, progress))
        return found

    def _progress(self, work: str, stopped: int, begun: int, n: int, n_done: int) -> Progress:
        if n == n_done:
            return "done"
        if self._is_held(work):
            return "running"
        if stopped:
            return "stopped"
        return "interrupted" if begun else "waiting"

    def _is_held(self, work: str) -> bool:
        lock = FileLock(self._lock_file(work), thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False

    def _lock_file(self, work: str) -> Path:
        return self.folder / _LOCKS / f"{work}.lock"

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection of this thread for one transaction; what SQLite cannot do is an OSError that names the file."""
        path = self.folder / _FILE
        try:
            with closing(sqlite3.connect(path, timeout=30)) as base, base:
                yield base
        except sqlite3.OperationalError as error:
            raise OSError(f"{path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise OSError(f"{path}: it is no store of works ({error}); move it away to begin anew") from error


def _hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
