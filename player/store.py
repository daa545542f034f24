"""Listeners and their presses on disk: SQLite with a write-ahead log.

A press is committed, and the disk has confirmed it (``synchronous=FULL``: also a power cut loses
nothing), before it is answered. What is learnt is not stored: it is a function of the presses, and
is learnt again from them after a restart.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from player.records import ListenerRow, Pending, Press

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS listeners (
    id INTEGER PRIMARY KEY,
    token BLOB NOT NULL UNIQUE,     -- SHA-256 of the secret: a stolen file opens no profile
    seed INTEGER NOT NULL,
    learner TEXT NOT NULL,
    preference TEXT NOT NULL,       -- JSON, as are settings and pending
    settings TEXT NOT NULL,
    pending TEXT,                   -- the track to be judged
    created REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS presses (
    listener INTEGER NOT NULL REFERENCES listeners (id),
    number INTEGER NOT NULL,        -- from 1 for each listener
    press_id TEXT NOT NULL,
    track TEXT NOT NULL,            -- an index of the catalogue, or "g" and a clip's number
    liked INTEGER NOT NULL,
    undone INTEGER NOT NULL DEFAULT 0,
    recommended_by TEXT NOT NULL,
    expected TEXT NOT NULL,         -- JSON: what each learner expected before the press
    at REAL NOT NULL,               -- seconds since 1970
    PRIMARY KEY (listener, number),
    UNIQUE (listener, press_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clips (
    listener INTEGER NOT NULL REFERENCES listeners (id),
    number INTEGER NOT NULL,
    content TEXT NOT NULL,          -- JSON, see player.clips
    PRIMARY KEY (listener, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forgotten_clips (
    listener INTEGER PRIMARY KEY REFERENCES listeners (id),
    number INTEGER NOT NULL         -- the last one that a reset deleted: none is given out twice
);
CREATE TABLE IF NOT EXISTS about (
    name TEXT PRIMARY KEY,          -- "id": tells this file from other players' on one machine
    value TEXT NOT NULL
) WITHOUT ROWID;
"""


class StoreError(RuntimeError):
    """A file that cannot be used as the player's store; the message says what to do."""


class Store:
    """The listeners and presses of one catalogue, in one file.

    All methods may be called from any thread. One process at a time has the file: what listeners
    have learnt lies in memory, and two servers would not know of each other's presses.

    Args:
        path: the file; made with its folder where there is none.

    Attributes:
        id: eight hexadecimal digits drawn when the file was made. No secret.

    Raises:
        StoreError: another process has it, or it is none of this version's.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(
                path, timeout=1.0, isolation_level=None, check_same_thread=False
            )
            self._prepare(path)
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"{path} cannot be used: {error}. If another player runs on it, stop that one, or "
                "name another folder with --data"
            ) from error

    def _prepare(self, path: Path) -> None:
        run = self._connection.execute
        run("PRAGMA locking_mode=EXCLUSIVE")
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=FULL")
        run("PRAGMA foreign_keys=ON")
        version = run("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            raise StoreError(
                f"{path} is of version {version}, this player writes version {SCHEMA_VERSION}: "
                "name another folder with --data"
            )
        self._connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        run(f"PRAGMA user_version={SCHEMA_VERSION}")
        run("INSERT OR IGNORE INTO about VALUES ('id', ?)", (secrets.token_hex(4),))
        self.id = str(run("SELECT value FROM about WHERE name = 'id'").fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _all(self, query: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    # --- Listeners --------------------------------------------------------------------------------

    def add_listener(self, token: bytes, *, seed: int, learner: str) -> int:
        """Store a new listener, of whom only a hash of the token is kept; return its number."""
        row = (token, seed, learner, json.dumps({}), json.dumps({}), time.time())
        with self._transaction() as connection:
            found = connection.execute(
                "INSERT INTO listeners (token, seed, learner, preference, settings, created) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                row,
            )
            assert found.lastrowid is not None
            return found.lastrowid

    def listener_of(self, token: bytes) -> int | None:
        """Return the number of the listener with this hash; None where there is none."""
        found = self._all("SELECT id FROM listeners WHERE token = ?", token)
        return found[0][0] if found else None

    def listener(self, listener: int) -> ListenerRow:
        """Return a listener that is there."""
        ((number, seed, learner, preference, settings, pending),) = self._all(
            "SELECT id, seed, learner, preference, settings, pending FROM listeners WHERE id = ?",
            listener,
        )
        return ListenerRow(
            number,
            seed,
            learner,
            json.loads(preference),
            json.loads(settings),
            Pending.of_json(pending),
        )

    def change(
        self,
        listener: int,
        *,
        pending: Pending | None,
        learner: str | None = None,
        preference: Mapping[str, Any] | None = None,
        settings: Mapping[str, bool] | None = None,
    ) -> None:
        """Store the track to be judged, and what else is given."""
        with self._transaction() as connection:
            _set(connection, listener, "pending", None if pending is None else pending.to_json())
            if learner is not None:
                _set(connection, listener, "learner", learner)
            if preference is not None:
                _set(connection, listener, "preference", json.dumps(preference))
            if settings is not None:
                _set(connection, listener, "settings", json.dumps(settings))

    def forget(self, listener: int, *, seed: int) -> None:
        """Delete all presses and clips and the preference of a listener, and give a new seed."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM presses WHERE listener = ?", (listener,))
            connection.execute(
                "INSERT OR REPLACE INTO forgotten_clips "
                "SELECT listener, max(number) FROM clips WHERE listener = ? GROUP BY listener",
                (listener,),
            )
            connection.execute("DELETE FROM clips WHERE listener = ?", (listener,))
            _set(connection, listener, "preference", json.dumps({}))
            _set(connection, listener, "pending", None)
            _set(connection, listener, "seed", seed)

    # --- Presses ----------------------------------------------------------------------------------

    def add_press(self, listener: int, press: Press, pending: Pending | None) -> None:
        """Store a press and the track that comes next, both or neither."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO presses (listener, number, press_id, track, liked, recommended_by, "
                "expected, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    listener,
                    press.number,
                    press.press_id,
                    press.track,
                    press.liked,
                    press.recommended_by,
                    json.dumps(dict(press.expected)),
                    press.at,
                ),
            )
            _set(connection, listener, "pending", None if pending is None else pending.to_json())

    def undo_press(self, listener: int, number: int, pending: Pending) -> None:
        """Mark a press as taken back, and store the track that is shown then."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE presses SET undone = 1 WHERE listener = ? AND number = ?",
                (listener, number),
            )
            _set(connection, listener, "pending", pending.to_json())

    def presses(self, listener: int) -> list[Press]:
        """Return all presses of a listener in order, those taken back as well."""
        rows = self._all(
            "SELECT number, press_id, track, liked, recommended_by, expected, at, undone "
            "FROM presses WHERE listener = ? ORDER BY number",
            listener,
        )
        return [
            Press(number, key, track, bool(liked), by, json.loads(expected), at, bool(undone))
            for number, key, track, liked, by, expected, at, undone in rows
        ]

    # --- Clips ------------------------------------------------------------------------------------

    def add_clip(
        self, listener: int, number: int, content: Mapping[str, Any], pending: Pending
    ) -> None:
        """Store a composed clip, which is the track to be judged next."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO clips (listener, number, content) VALUES (?, ?, ?)",
                (listener, number, json.dumps(dict(content))),
            )
            _set(connection, listener, "pending", pending.to_json())

    def clips(self, listener: int) -> dict[int, dict[str, Any]]:
        """Return the clips of a listener by their numbers."""
        rows = self._all("SELECT number, content FROM clips WHERE listener = ?", listener)
        return {number: json.loads(content) for number, content in rows}

    def last_clip(self, listener: int) -> int:
        """Return the highest number that a clip of a listener ever had; 0: there was none."""
        found = self._all(
            "SELECT number FROM clips WHERE listener = ?1 "
            "UNION SELECT number FROM forgotten_clips WHERE listener = ?1 "
            "ORDER BY number DESC LIMIT 1",
            listener,
        )
        return int(found[0][0]) if found else 0

    def close(self) -> None:
        """Close the file; everything is on disk already."""
        with self._lock:
            self._connection.close()


def _set(connection: sqlite3.Connection, listener: int, column: str, value: Any) -> None:
    # The column's name is one of this module's own words.
    connection.execute(f"UPDATE listeners SET {column} = ? WHERE id = ?", (value, listener))
