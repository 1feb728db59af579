"""The files of a collection, listed or read from a table, and the address of each one's result."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from fastnst.base.errors import UserError
from fastnst.cluster.places import Places, address_of, is_remote

TABLES = (".parquet", ".csv")


class Entry(NamedTuple):
    """A file, and where its result goes; both are addresses, and the first is the file's id."""

    path: str
    output: str


def read_manifest(
    places: Places,
    names: Sequence[str],
    output: str,
    *,
    column: str,
    suffixes: tuple[str, ...],
    renamed: Callable[[str], str],
) -> list[Entry]:
    """The files that the names stand for, each once.

    A result's address follows from the file's alone, so that every start and every part of a collection agree on it:
    below `output` stands the path below the folder that was listed, the path as a table has it if that is a relative
    one, or else the whole address without its protocol.

    Args:
        places: Lists and reads.
        names: Folders, files, or tables (Parquet or CSV) of files.
        output: Address of the folder of results.
        column: Of the tables, that holds the files' addresses; relative ones start where the table is.
        suffixes: Of the files that are taken from a folder.
        renamed: The path of a result, for that of a file.

    Raises:
        UserError: No file, two with the same result, or one that is among the results.
        OSError: A folder or a table cannot be read.
    """
    found: dict[str, str] = {}
    for name in names:
        address = address_of(name)
        table = address.lower().endswith(TABLES)
        for path, key in _in_table(places, address, column) if table else _listed(places, address, suffixes):
            found.setdefault(path, key)
    if not found:
        raise UserError(f"no photo in {' or '.join(map(address_of, names))}; looked for {', '.join(suffixes)}")
    entries = [Entry(path, f"{output}/{renamed(_safe(path, key))}") for path, key in found.items()]
    _check(entries, output)
    return entries


def _listed(places: Places, address: str, suffixes: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The files below a folder and their paths in it; or the file itself and its name."""
    sizes = places.find(address)
    if not sizes:
        raise UserError(f"{address}: there is no such file or folder")
    for path in sizes:
        if path == address:
            yield path, path.rpartition("/")[2]
        elif path.lower().endswith(suffixes):
            yield path, path.removeprefix(f"{address}/")


def _in_table(places: Places, address: str, column: str) -> Iterator[tuple[str, str]]:
    """The files that a column of a table names."""
    with places.open(address) as file:
        try:
            if address.lower().endswith(".csv"):
                names = pa.csv.open_csv(file).schema.names
                file.seek(0)
                text = pa.csv.ConvertOptions(include_columns=[column], column_types={column: pa.string()})
                table = pa.csv.read_csv(file, convert_options=text) if column in names else None
            else:
                names = pq.read_schema(file).names
                table = pq.read_table(file, columns=[column]) if column in names else None
        except pa.ArrowInvalid as error:
            raise UserError(f"{address}: {' '.join(str(error).split())}") from None
    if table is None:
        raise UserError(f"{address} has no column {column!r}; it has {', '.join(names)}: --column NAME")
    for name in table[column].to_pylist():
        if not name:
            raise UserError(f"{address}: a row of the column {column!r} names no file")
        if is_remote(name) or name.startswith("/"):
            path = address_of(name)
            yield path, path.partition("://")[2] if is_remote(path) else path[1:]
        else:
            yield f"{address.rpartition('/')[0]}/{name}", name


def _safe(path: str, key: str) -> str:
    if not all(part.strip(".") for part in key.split("/")):
        raise UserError(f"{path}: its result could not have the path {key!r}")
    return key


def _check(entries: Iterable[Entry], output: str) -> None:
    """Refuse files that are results, and results that are the same."""
    taken: dict[str, str] = {}
    for path, result in entries:
        if path.startswith(f"{output}/"):
            raise UserError(f"{path} lies among the results: choose another --output")
        if result in taken:
            raise UserError(f"{taken[result]} and {path} would both become {result}: rename one")
        taken[result] = path


def with_suffix(path: str, formats: dict[str, str], format: str | None, default: str) -> str:
    """The path of a result: that of the file if its suffix is one of the format, or else with one more suffix.

    Example:
        >>> formats = {".jpg": "JPEG", ".png": "PNG"}
        >>> [with_suffix(path, formats, None, ".png") for path in ("a.jpg", "a.bmp")]
        ['a.jpg', 'a.bmp.png']
        >>> with_suffix("a.jpg", formats, "png", ".png")
        'a.jpg.png'
    """
    found = re.search(r"\.[^./]+$", path)
    kind = formats.get(found[0].lower()) if found else None
    if kind is not None and (format is None or kind == format.upper()):
        return path
    return path + (f".{format}".replace("jpeg", "jpg") if format else default)
