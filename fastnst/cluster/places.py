"""Files at addresses, `s3://bucket/key` or paths of this machine, by fsspec; created whole or not at all."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from fastnst.base.errors import UserError
from fastnst.base.files import open_file, write_whole
from fastnst.base.partials import sweep

ATTEMPTS = 10  # of a request to S3 that is answered with 503 or not at all; botocore waits up to 20 s between them
# Listings that are kept would grow with the collection, and would not know what others have written.
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {
        "use_listings_cache": False,
        "config_kwargs": {"retries": {"mode": "standard", "total_max_attempts": ATTEMPTS}},
    }
}


def address_of(name: str | Path) -> str:
    """An address as it was written, of which a `Path` keeps one slash; a path of this machine is made absolute.

    Example:
        >>> address_of(Path("s3://bucket/painted/"))
        's3://bucket/painted'
    """
    if found := re.fullmatch(r"(\w[\w+.-]+):/+(.*)", text := str(name)):
        protocol, path = found.groups()
        if protocol not in ("file", "local"):
            return f"{protocol}://{path.rstrip('/')}"
        text = f"/{path}"
    return os.path.abspath(os.path.expanduser(text))


class Places:
    """Opens each file system once; threads may share it."""

    def __init__(self) -> None:
        self._systems: dict[str, Any] = {}

    def find(self, address: str) -> dict[str, int]:
        """Addresses and sizes in bytes of all files at or below an address, but of hidden ones.

        Raises:
            OSError: It cannot be listed.
        """
        with _told_of(address):
            system, path = self._at(address)
            found = system.find(path, detail=True)
            below = len(path.rstrip("/"))
            shown = (name for name in found if not re.search(r"(^|/)\.", name[below:]))
            return {self._named(address, name): int(found[name]["size"] or 0) for name in shown}

    def read(self, address: str) -> bytes:
        """The content of a file.

        Raises:
            OSError: There is none, or it cannot be read.
        """
        with _told_of(address):
            system, path = self._at(address)
            if isinstance(system, LocalFileSystem):
                with open_file(Path(path)) as file:
                    return file.read()
            data: bytes = system.cat_file(path)
            return data

    def open(self, address: str) -> BinaryIO:
        """A file to be read in parts.

        Raises:
            OSError: There is none, or it cannot be read.
        """
        with _told_of(address):
            system, path = self._at(address)
            file: BinaryIO = system.open(path, "rb")
            return file

    def create(self, address: str, data: bytes, *, replace: bool = False) -> None:
        """Write a file in one step: a rename on this machine, one request to a store.

        Raises:
            FileExistsError: Without `replace`, there is one by now; it is left as it is.
            OSError: It cannot be written.
        """
        with _told_of(address):
            system, path = self._at(address)
            if isinstance(system, LocalFileSystem):
                write_whole(Path(path), data, replace=replace)
            else:
                system.pipe_file(path, data, mode="overwrite" if replace else "create")

    def remove(self, addresses: Iterable[str]) -> None:
        """Remove files."""
        for address in addresses:
            with _told_of(address):
                system, path = self._at(address)
                system.rm_file(path)

    def sweep(self, addresses: Iterable[str]) -> None:
        """Remove what dead processes left of files that were to have these addresses; stores keep nothing of them."""
        for folder in {address.rpartition("/")[0] for address in addresses if not is_remote(address)}:
            sweep(Path(folder))

    def _at(self, address: str) -> tuple[Any, str]:
        protocol = address.partition("://")[0] if is_remote(address) else "file"
        if protocol not in self._systems:
            try:
                self._systems[protocol] = fsspec.filesystem(protocol, **_OPTIONS.get(protocol, {}))
            except ImportError as error:
                raise UserError(f"{address}: {error}; for s3:// that is pip install 'fastnst[cluster]'") from None
            except ValueError:
                raise UserError(f"{address}: fsspec knows no {protocol}://") from None
        system = self._systems[protocol]
        return system, system._strip_protocol(address)

    def _named(self, address: str, path: str) -> str:
        return f"{address.partition('://')[0]}://{path.lstrip('/')}" if is_remote(address) else path


def is_remote(address: str) -> bool:
    """Whether a file system other than this machine's has it."""
    return "://" in address


@contextmanager
def _told_of(address: str) -> Iterator[None]:
    """Turn the errors of all stores into an OSError of one line; each store has its own."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        if not is_remote(address):
            raise
        raise type(error)(f"{address}: {' '.join(str(error).split())}") from error
    except Exception as error:
        raise OSError(f"{address}: {' '.join(str(error).split())}") from error
