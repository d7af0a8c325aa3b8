"""What a job has done so far, beside its output: results by the digest of their prompt.

One SQLite file. A result is there or it is not, however the process ended, and the same prompt is
never paid for twice. The file knows what made its results: a job with another schema, prompt, model
or other parameters is refused, not mixed in.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from types import TracebackType

from filelock import FileLock, Timeout

from ...schemas.errors import JobChangedError, JobError

COMMIT_SECONDS = 1.0  # the work that a kill can cost
TABLES = """
create table if not exists job (part text primary key, value text not null);
create table if not exists done (prompt blob primary key, result text not null) without rowid;
"""


class Ledger:
    """The ledger of one output; a context manager that keeps other processes out."""

    def __init__(self, path: Path, identity: Mapping[str, str], *, restart: bool = False) -> None:
        """`identity` has a digest for each part that results depend on."""
        self._path = path
        self._identity = dict(identity)
        self._restart = restart
        self._lock = FileLock(f"{path}.lock")
        self._committed = monotonic()

    def __enter__(self) -> Ledger:
        """Raises JobError if another process works on the job, JobChangedError if it is another."""
        try:
            self._lock.acquire(timeout=0)
        except (Timeout, OSError) as error:
            raise JobError(f"{self._path} is in use or cannot be written: {error}") from error
        try:
            if self._restart:
                for suffix in ("", "-wal", "-shm"):
                    Path(f"{self._path}{suffix}").unlink(missing_ok=True)
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def _open(self) -> None:
        try:
            self._base = sqlite3.connect(self._path)
            self._base.execute("pragma journal_mode=wal")
            self._base.execute("pragma synchronous=normal")
            self._base.executescript(TABLES)
            known = dict(self._base.execute("select part, value from job"))
            if not known:
                rows = list(self._identity.items())
                self._base.executemany("insert into job values (?, ?)", rows)
                self._base.commit()
        except sqlite3.Error as error:
            raise JobError(f"the ledger {self._path} cannot be used: {error}") from error
        changed = [part for part, value in self._identity.items() if known.get(part) != value]
        if known and changed:
            self._base.close()
            raise JobChangedError(str(self._path), changed)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.commit()
        finally:
            self._base.close()
            self._lock.release()

    def commit(self) -> None:
        """Make sure of all results so far. Raises JobError if the disk is full."""
        self._committed = monotonic()
        try:
            self._base.commit()
        except sqlite3.Error as error:
            raise JobError(f"{error}; make room at {self._path} and run the job again") from error

    def put(self, prompt: bytes, result: Mapping[str, object]) -> None:
        """Keep the result of a prompt, by its digest. Raises JobError if the disk is full."""
        text = json.dumps(result, ensure_ascii=False)
        try:
            self._base.execute("insert or replace into done values (?, ?)", (prompt, text))
        except sqlite3.Error as error:
            raise JobError(f"{error}; make room at {self._path} and run the job again") from error
        if monotonic() - self._committed > COMMIT_SECONDS:
            self.commit()

    def get(self, prompt: bytes) -> dict[str, object] | None:
        """Return the result of a prompt, None if it has not been computed."""
        row = self._base.execute("select result from done where prompt = ?", (prompt,)).fetchone()
        return None if row is None else json.loads(row[0])

    def __contains__(self, prompt: bytes) -> bool:
        found = self._base.execute("select 1 from done where prompt = ?", (prompt,)).fetchone()
        return found is not None
