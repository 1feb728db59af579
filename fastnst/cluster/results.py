"""A row for each file of a collection, in Parquet files beside the results. They are what a second start knows."""

import secrets
import time
from io import BytesIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fastnst.cluster.places import Places

FOLDER = "_results"  # below the folder of results
ROWS = 10_000  # of a file of rows
SECONDS = 30.0  # after which rows are written, however few; the work of so long is looked at again after a crash
MADE, FOUND, FAILED = "painted", "found", "failed"
SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("output", pa.string()),
        ("bytes", pa.int64()),
        ("hash", pa.string()),  # SHA-256
        ("status", pa.string()),
        ("error", pa.string()),
        ("seconds", pa.float64()),
    ]
)


class Results:
    """The rows of one folder of results.

    Args:
        places: Reads and writes.
        output: Address of the folder.

    Attributes:
        folder: Address of the folder of rows.
    """

    def __init__(self, places: Places, output: str) -> None:
        self.output, self.folder = output, f"{output}/{FOLDER}"
        self._places = places
        self._waiting: list[pa.Table] = []
        self._written = time.monotonic()

    def known(self) -> pa.Table:
        """The rows that earlier starts have written, the last one of each file."""
        self._parts = sorted(name for name in self._places.find(self.folder) if name.endswith(".parquet"))
        tables = [pq.read_table(BytesIO(self._places.read(part)), schema=SCHEMA) for part in self._parts]
        rows = pa.concat_tables([SCHEMA.empty_table(), *tables])
        self._read = len(rows)
        last = dict(zip(rows["path"].to_pylist(), range(len(rows)), strict=True))
        return rows.take(pa.array(last.values(), pa.int64()))

    def keep(self, rows: pa.Table) -> None:
        """Replace what `known` has read by these rows of it, in one file; a crash in between leaves both."""
        if len(self._parts) > 1 or len(rows) < self._read:
            if len(rows):
                self._write(rows)
            self._places.remove(self._parts)

    def add(self, rows: pa.Table) -> None:
        """Take rows, and write those that are waiting if they are many or have waited for long."""
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) >= ROWS or time.monotonic() - self._written > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are waiting."""
        if self._waiting:
            self._write(pa.concat_tables(self._waiting))
            self._waiting = []
        self._written = time.monotonic()

    def _write(self, rows: pa.Table) -> None:
        pq.write_table(rows, file := BytesIO())
        name = f"{time.time_ns():020}-{secrets.token_hex(4)}.parquet"  # in the order of their names, later ones count
        self._places.create(f"{self.folder}/{name}", file.getvalue())


def rows_of(table: pa.Table, paths: set[str]) -> pa.Table:
    """The rows of these files."""
    return table.filter(pc.is_in(table["path"], pa.array(paths, pa.string())))
