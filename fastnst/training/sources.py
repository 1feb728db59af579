"""Sources of photos: a folder, the samples, or a data set of the Hugging Face Hub that is downloaded once.

Knows nothing of batches, crops and training. Imports neither torch nor anything that does until a photo is decoded.
"""

import hashlib
import itertools
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fastnst.base.errors import UserError
from fastnst.base.files import sha256, whole_file
from fastnst.images.formats import ImageError
from fastnst.images.photos import find_photos, sample_photos

if TYPE_CHECKING:
    from fastnst.images.levels import Bytes

HUB = "hub:"  # before the id of a data set, which could also be the name of a folder
# COCO train2017 as Parquet files. Not yet run: no Hub was reachable where this was written.
COCO_HUB_ID = "detection-datasets/coco"
HUB_PHOTOS = 20_000  # of a Hub data set, when no number is given
HUB_SHORT_SIDE = 320  # pixels of the copies kept on disk
HUB_COPY_KILOBYTES = 40  # measured: a 3:2 photo of that size, JPEG quality 90
log = logging.getLogger("fastnst")


class DataError(UserError):
    """Photos that cannot be found or read; the message is one line that says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message.rpartition("DataError: ")[2].strip())


class Photos(NamedTuple):
    """Photos by index: their names, and rows with their bytes or path."""

    names: list[str]
    rows: Sequence[dict[str, Any]]

    def decode(self, index: int, short_side: int) -> "Bytes":
        """Photo `(H, W, 3)`, see `decode_photo`."""
        from fastnst.images.read import decode_photo

        image = self.rows[index]["image"]
        return decode_photo(image["bytes"] or Path(image["path"]), short_side=short_side)

    def sha256(self, index: int) -> str:
        """SHA-256 of the photo's file, in hexadecimal."""
        image = self.rows[index]["image"]
        return hashlib.sha256(image["bytes"]).hexdigest() if image["bytes"] else sha256(Path(image["path"]))


class Source(NamedTuple):
    """A source of photos: its name for the style file, a line for the user, and a function that loads it."""

    name: str
    notice: str
    load: Callable[[], Photos]
    remote: bool = False


def find_source(source: str | None, max_photos: int | None, cache: Path | None = None) -> Source:
    """The source for a folder, `coco` or `hub:OWNER/NAME`; None for the samples.

    Photos of the Hub are kept in `cache`, by default in the user's cache folder.

    Raises:
        DataError: It is none of these.
    """
    if source is None:
        notice = "training on the sample photos of scikit-image; a real style wants a folder of photos: --data"
        return Source("sample photos", notice, lambda: _files(list(sample_photos().values()), max_photos))
    if not source:
        raise DataError("an empty name is no folder of photos: is a variable of the shell not set?")
    folder = Path(os.path.expanduser(source))
    if folder.is_dir():
        name = folder.resolve().name
        return Source(name, "", lambda: _files(find_photos(folder), max_photos, folder))
    hub_id = COCO_HUB_ID if source == "coco" else source.removeprefix(HUB)
    looks_like_one = re.fullmatch(r"\w[\w.-]*/[\w.-]+(:[\w.-]+)?", hub_id)
    if source == "coco" or (source.startswith(HUB) and looks_like_one):
        return _hub_source(hub_id, max_photos or HUB_PHOTOS, cache or user_cache())
    if folder.exists():
        raise DataError(f"{source} is a file: --data takes a folder of photos")
    hint = f"; a data set of the Hugging Face Hub is written {HUB}{hub_id}" if looks_like_one else ""
    raise DataError(f"{source}: no such folder{hint}")


def _files(files: list[Path], max_photos: int | None, folder: Path | None = None) -> Photos:
    """Photos of files; if there are too many, those with the smallest hash of their name."""
    if not files:
        place = f"in {folder} or below" if folder else "to start with: pip install scikit-image"
        raise DataError(f"no photo {place}")
    names = {(file.relative_to(folder).as_posix() if folder else file.name): file for file in files}
    if max_photos is not None:
        chosen = sorted(names, key=lambda name: hashlib.sha256(os.fsencode(name)).digest())[:max_photos]
        names = {name: names[name] for name in sorted(chosen)}
    # A list, and not Arrow's strings: names of files are bytes, and need not be UTF-8.
    return Photos(list(names), [{"image": {"bytes": None, "path": str(file)}} for file in names.values()])


def _hub_source(source: str, count: int, cache: Path) -> Source:
    name, _, split = source.partition(":")
    file = cache / f"{name.replace('/', '--')}-{split or 'train'}-{count}-{HUB_SHORT_SIDE}px.arrow"
    notice = ""
    if not file.exists():
        notice = (
            f"{name}: reads the first {count:,} photos from the Hugging Face Hub, once, and keeps small copies, "
            f"about {count * HUB_COPY_KILOBYTES / 1000:,.0f} MB, in {file.parent}"
        )
    return Source(source, notice, lambda: _hub_photos(name, split or "train", count, file), remote=True)


def user_cache() -> Path:
    """The cache folder of fastnst in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastnst"


def open_stream(name: str, split: str) -> Any:
    """A streamed data set of the Hub; the only place that connects to the Hub."""
    from datasets import load_dataset

    return load_dataset(name, split=split, streaming=True)


def _hub_photos(name: str, split: str, count: int, file: Path) -> Photos:
    """The first photos of a Hub data set, downloaded once and then read from copies on disk."""
    from datasets import Dataset, Image

    if not file.exists():
        try:
            _write_copies(_stream_copies(open_stream(name, split), name, count), file)
        except DataError:
            raise
        except Exception as error:  # the Hub's clients raise errors of several packages
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise DataError(
                f"{HUB}{name}: the Hugging Face Hub did not give it ({reason}); "
                "download a folder of photos and use --data FOLDER"
            ) from error
    rows = Dataset.from_file(str(file)).cast_column("image", Image(decode=False))
    return Photos(list(rows["name"]), rows)


def _stream_copies(stream: Any, name: str, count: int) -> Iterator[dict[str, Any]]:
    """Small copies of the first photos that can be read."""
    from datasets import Image

    from fastnst.images.read import decode_photo
    from fastnst.images.write import encode_photo

    column = _image_column(stream, name)
    rows = stream.select_columns([column]).cast_column(column, Image(decode=False))
    copied = skipped = 0
    for number, row in enumerate(rows):
        if copied == count:
            break
        try:
            photo = decode_photo(_original(row[column]), short_side=HUB_SHORT_SIDE)
        except ImageError:
            skipped += 1
            continue
        yield {"name": f"{number:08d}", "image": {"bytes": encode_photo(photo), "path": None}}
        copied += 1
        if copied % 1000 == 0:
            log.info("%s: %s of %s photos", name, f"{copied:,}", f"{count:,}")
    if not copied:
        raise DataError(f"{name}: none of its {skipped} images in column {column!r} can be read")
    log.info("%s: %s photos kept, %s unreadable ones skipped", name, f"{copied:,}", f"{skipped:,}")


def _image_column(stream: Any, name: str) -> str:
    """The column of type Image, or else the one named so."""
    from datasets import Image

    features = stream.features or dict.fromkeys(next(iter(stream)))
    typed = [column for column, feature in features.items() if isinstance(feature, Image)]
    named = [column for column in ("image", "img") if column in features]
    if not typed + named:
        raise DataError(f"{name}: expected a column of images, got {', '.join(features)}")
    return str((typed + named)[0])


def _original(image: dict[str, Any] | None) -> bytes:
    """The bytes of a row's image, which some data sets keep in a separate file."""
    if not image or not (image["bytes"] or image["path"]):
        raise ImageError("a row without an image")
    if image["bytes"]:
        return bytes(image["bytes"])
    import fsspec

    with fsspec.open(image["path"], "rb") as file:
        return bytes(file.read())


def _write_copies(copies: Iterable[dict[str, Any]], file: Path) -> None:
    """Write an Arrow file that `datasets` maps into memory, whole or not at all."""
    import pyarrow as pa

    image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    schema = pa.schema({"name": pa.string(), "image": image})
    with whole_file(file) as sink, pa.ipc.new_stream(sink, schema) as writer:
        source = iter(copies)
        while rows := list(itertools.islice(source, 100)):
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema))
