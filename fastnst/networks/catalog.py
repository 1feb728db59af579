"""Style files by name: their folders, their headers, and mixes of one file's styles.

Imports neither torch nor anything that does: a header is read without the weights, and an unknown name is refused at
once.
"""

import difflib
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from fastnst.base.errors import UserError, reason_for
from fastnst.base.files import PACKAGE, open_file, pasted
from fastnst.base.terminal import COMMANDING, shown
from fastnst.networks.description import LONGEST_HEADER, PREDICTOR, UNIVERSAL, check, parsed
from fastnst.networks.exported_formats import EXPORTED

FORMAT_VERSION, OLDEST_READ = 3, 2  # from 3 on networks may have what fastnst 0.2 does not know: `SINCE_3`
SUFFIX = ".safetensors"
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")
LONGEST_PART = 100  # characters of a style in the name of a file
SHIPPED = PACKAGE / "checkpoints"  # in an installed wheel
# In names of files on Windows, in mixes, or anywhere: bytes that are not UTF-8 are lone surrogates in Python.
_UNUSABLE = rf'[/\\:,*?"<>|\n\t{COMMANDING}\ud800-\udfff]+'
SOURCE_TREE = PACKAGE.parent / "checkpoints"  # in an editable installation


class StyleFileError(UserError):
    """A style file that is missing, broken or not a style file."""


def read_info(path: Path) -> dict[str, Any]:
    """The description in a style file's header.

    Raises:
        StyleFileError: The file is missing, not a style file, or of a later format.
    """
    try:
        with open_file(path) as start:  # not a pipe, which would be waited for
            if int.from_bytes(start.read(8), "little") > LONGEST_HEADER:
                if path.suffix != SUFFIX:
                    known = "give a JPEG or PNG of a painting, or a name from `fastnst styles`"
                    raise StyleFileError(f"{path} is neither a picture nor a style file: {known}")
                raise StyleFileError(f"{path} is not a style file: a header has up to {LONGEST_HEADER:,} bytes")
        with safe_open(path, framework="np") as file:
            header = (file.metadata() or {}).get("fastnst")
    except FileNotFoundError:
        raise StyleFileError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        if isinstance(error, OSError) and (reason := reason_for(error, reads=True)):
            raise StyleFileError(f"{path} cannot be read: {reason}") from None
        raise StyleFileError(f"{path} is not a style file, or it is broken ({shown(str(error))})") from None
    if header is None:
        raise StyleFileError(f"{path} is a safetensors file, but not one that fastnst wrote")
    try:
        info = parsed(header)
        version = int(info["format_version"])
    except (ValueError, KeyError, TypeError, OverflowError):
        raise StyleFileError(f"{path} has a description that cannot be read") from None
    if version > FORMAT_VERSION:
        raise StyleFileError(
            f"{path} has format {version}, this fastnst reads up to {FORMAT_VERSION}: pip install -U fastnst"
        )
    if version < OLDEST_READ:
        raise StyleFileError(f"{path} has format {version}, which this fastnst no longer reads: train the style again")
    try:
        check(info)
    except ValueError as field:
        raise StyleFileError(f"{path} has a description that cannot be read: {field}") from None
    return info


def check_name(path: Path) -> None:
    """Refuse a name that is not UTF-8, which the libraries that write networks cannot open.

    Raises:
        StyleFileError: It is not.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise StyleFileError(f"{path}: the name is not UTF-8, which files of networks need: rename it") from None


def style_folders() -> list[Path]:
    """Folders in which styles are looked up by name, in this order: `./checkpoints`, then the shipped ones."""
    folders = (Path("checkpoints"), SHIPPED, SOURCE_TREE)
    unique = {folder.resolve(): folder for folder in reversed(folders) if folder.is_dir()}
    return [folder for folder in folders if folder in unique.values()]


def list_styles() -> Iterator[Path]:
    """All style files that are found by name; the first of a name wins."""
    seen: set[str] = set()
    for folder in style_folders():
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            if path.stem not in seen:
                seen.add(path.stem)
                yield path


def names_in(path: Path) -> list[str]:
    """The styles in a file; none if it is not a style file."""
    try:
        return [str(style["name"]) for style in read_info(path)["styles"]]
    except StyleFileError:
        return []


def find_style_file(name: str) -> Path:
    """The style file of a name or path.

    Raises:
        StyleFileError: No such style; the message lists the known ones, or says how to train on a picture.
    """
    path = Path(os.path.expanduser(name))  # which leaves `~beach` as it is
    if path.suffix in (SUFFIX, *EXPORTED) and os.path.isfile(path):
        return path
    known = {path.stem: path for path in list_styles()}
    if name not in known:
        _refuse_pictures(path)
        if os.path.isfile(path):
            return path
        if path.suffix == SUFFIX:
            raise StyleFileError(f"{path}: no such file")
        pictures = (path.with_name(path.name + suffix) for suffix in PICTURES) if path.name else ()
        if picture := next(filter(os.path.isfile, pictures), None):
            raise StyleFileError(
                f"no style named {name!r}, but a picture: --style {pasted(picture)} paints like it at once, and "
                f"fastnst train --style {pasted(picture)} trains the style"
            )
        names = sorted({name for path in known.values() for name in names_in(path)})
        there = f"there are: {', '.join(names)}" if names else "there is none yet: train one with `fastnst train`"
        close = difflib.get_close_matches(name, [*known, *names], n=1)
        hint = f"did you mean {close[0]}? {there}" if close else there
        raise StyleFileError(f"no style named {name!r} in ./checkpoints or shipped; {hint}")
    return known[name]


def file_part(style: str) -> str:
    """A style, trained or exported, or a mix, as part of the name of a file.

    Example:
        >>> file_part("painted/wave.safetensors"), file_part("wave.onnx"), file_part("day:0.6,night:0.4")
        ('wave', 'wave', 'day0.6+night0.4')
    """
    if inside := _file_and_rest(style):
        style = inside[1]
    names = [Path(term.strip()).name.replace(":", "") for term in style.split(",")]
    kinds = (SUFFIX, *EXPORTED) if is_exported(style) else (SUFFIX,)
    part = "+".join(Path(name).stem if Path(name).suffix in kinds else name for name in names)
    # Names of files end at 255 bytes, and that of the photo comes before.
    digest = hashlib.sha256(os.fsencode(part)).hexdigest()[:8]
    return part if len(part) <= LONGEST_PART else f"{part[:LONGEST_PART]}-{digest}"


def _refuse_pictures(path: Path) -> None:
    if path.suffix.lower() in PICTURES:
        raise StyleFileError(
            f"{path} is a picture, not a trained style. Train it first: fastnst train --style {pasted(path)}"
        )


def is_exported(style: str | Path) -> bool:
    """Whether a style is an exported file such as `wave.onnx`, not a trained style with such a name."""
    if inside := _file_and_rest(str(style)):
        return inside[0].suffix in EXPORTED
    return Path(style).suffix in EXPORTED and (os.path.isfile(style) or not is_known(str(style)))


def usable_name(stem: str) -> str:
    """A picture's name as a style name that works in flags, mixes and every file system.

    Example:
        >>> usable_name("Photo 12:30"), usable_name("-beach"), usable_name("wave.safetensors")
        ('Photo 12-30', 'beach', 'wave')
    """
    name = re.sub(_UNUSABLE, "-", stem.removesuffix(SUFFIX)).lstrip(". -").rstrip(". ")
    return name or "style"


def is_known(name: str) -> bool:
    """Whether a style file, or a style in one, has this name."""
    return any(path.stem == name or name in names_in(path) for path in list_styles())


def find_mix(text: str) -> tuple[Path, dict[str, float] | None]:
    """The file and the weights that `wave`, `wave.safetensors`, `night` or `day:0.6,night:0.4` stand for.

    A name stands for the file of this name, or else for the style of this name in a file with several. The names of a
    mix stand for styles of one file that has them all. Behind a file and a colon stand styles of that file:
    `art/sky.safetensors:night`, `sky.onnx:day:0.6,night:0.4`.

    Raises:
        StyleFileError: Unknown name, a weight that is not a number, or styles of different files.
    """
    if ":" not in text or os.path.isfile(text) or is_known(text):
        return _find_style(text)
    if inside := chosen_in_file(text):
        path, chosen = inside
        if path.suffix == SUFFIX and (unknown := chosen.keys() - set(names := names_in(path))):
            raise StyleFileError(f"{path} has no style {min(unknown)!r}; it has: {', '.join(names) or 'none'}")
        return inside
    terms = [_parse_term(term) for term in text.split(",")]
    together = _file_with({name for name, _ in terms}) if len(terms) > 1 else None
    found = [(together, {name: 1.0}, w) if together else (*_find_style(name), w) for name, w in terms]
    files = {path.resolve(): path for path, _, _ in found}
    if len(files) > 1:
        raise StyleFileError(
            f"{' and '.join(name for name, _ in terms)} are in different files, so their parameters cannot be mixed; "
            "train them together: fastnst train --style A.jpg B.jpg"
        )
    total = sum(weight for _, weight in terms)
    weights: dict[str, float] = {}
    for path, part, weight in found:
        style = _only_style(path, part)
        weights[style] = weights.get(style, 0.0) + weight / total
    return next(iter(files.values())), weights


def chosen_in_file(text: str) -> tuple[Path, dict[str, float]] | None:
    """The file and the weights of `FILE:name` or `FILE:name:weight,name:weight`; None if there is no such file.

    Raises:
        StyleFileError: Behind the file stands neither a name nor a mix.
    """
    if (inside := _file_and_rest(text)) is None:
        return None
    path, rest = inside
    is_name = "," not in rest and not _is_number(rest.rpartition(":")[2])
    terms = [(rest, 1.0)] if is_name else [_parse_term(term) for term in rest.split(",")]
    total = sum(weight for _, weight in terms)
    weights: dict[str, float] = {}
    for name, weight in terms:
        weights[name] = weights.get(name, 0.0) + weight / total
    return path, weights


def _file_and_rest(text: str) -> tuple[Path, str] | None:
    """What stands before and behind the colon that follows the name of a style's file, if names stand behind it."""
    for colon in (match.start() for match in re.finditer(":", text)):
        path, rest = Path(os.path.expanduser(text[:colon])), text[colon + 1 :].strip()
        if path.suffix in (SUFFIX, *EXPORTED) and path.is_file() and not _is_number(re.split("[:,]", rest)[0]):
            return path, rest
    return None


def _is_number(text: str) -> bool:
    """Whether it is a weight, or nothing."""
    try:
        float(text or 0)
    except ValueError:
        return False
    return True


def find_chosen(text: str) -> tuple[Path, dict[str, float] | None]:
    """As `find_mix`, with an error if a file has several styles and none is chosen."""
    path, mix = find_mix(text)
    if mix is None and path.suffix == SUFFIX and len(names := names_in(path)) > 1:
        raise StyleFileError(f"{path.stem} has several styles, choose or mix: {', '.join(names)}")
    return path, mix


def _parse_term(term: str) -> tuple[str, float]:
    name, _, number = term.strip().rpartition(":")
    try:
        weight = float(number)
    except ValueError:
        weight = -1.0
    if not name or not 0 < weight < float("inf"):
        raise StyleFileError(f"a mix is written name:weight,name:weight with positive weights, got {term.strip()!r}")
    return name, weight


def _find_style(name: str) -> tuple[Path, dict[str, float] | None]:
    """The file with this name, or the file with a style of this name."""
    try:
        path = find_style_file(name)
    except StyleFileError:
        if path_of_style := _file_with({name}):
            return path_of_style, {name: 1.0}
        raise
    if path.suffix not in EXPORTED and (kind := read_info(path).get("kind")) in (UNIVERSAL, PREDICTOR):
        instant = " --instant" if kind == PREDICTOR else ""
        raise StyleFileError(
            f"{name} is a network that paints like any picture: give one, --style painting.jpg{instant}"
        )
    return path, None


def _file_with(names: set[str]) -> Path | None:
    """The first file that has styles of all these names."""
    return next((path for path in list_styles() if names <= set(names_in(path))), None)


def _only_style(path: Path, part: dict[str, float] | None) -> str:
    """The one style that a term of a mix stands for."""
    names = list(part) if part else names_in(path)
    if len(names) != 1:
        raise StyleFileError(f"{path} has several styles, name one: {', '.join(names)}")
    return names[0]
