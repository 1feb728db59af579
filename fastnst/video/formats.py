"""Formats of video files, by suffix. Imports no torch, and PyAV only to look into a file."""

import re
from pathlib import Path

from fastnst.base.errors import UserError
from fastnst.base.files import open_file
from fastnst.images.metadata import is_mark

VIDEO_SUFFIXES = (
    *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts"),
    *(".vob", ".webm", ".wmv"),
)
# FFmpeg's name of the container, and the codecs for it, the best first.
CONTAINERS = {
    ".mp4": ("mp4", ("libx264", "mpeg4")),
    ".mkv": ("matroska", ("libx264", "mpeg4")),
    ".mov": ("mov", ("libx264", "mpeg4")),
    ".webm": ("webm", ("libvpx-vp9",)),
}

#: How FFmpeg opens a stranger's file: only containers of the suffixes above, no playlists, which name other files and
#: addresses, and no more streams than a film has.
OPENING = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpeg,mpegts,mpegvideo,mxf,ogg,asf",
    "protocol_whitelist": "file",
    "max_streams": "64",
}
LARGEST_FRAME = 40_000_000  # pixels; 8K has 33 million. Some frames are in memory as floats, 12 bytes a pixel


class VideoError(UserError):
    """A video that cannot be read or written; the message is one line and names the file."""


def is_video(path: Path) -> bool:
    """Whether a name is that of a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def is_partial(path: Path) -> bool:
    """Whether a name is that of an unfinished video."""
    return re.search(r"\.partial\d*$", path.stem) is not None


def has_video_mark(path: Path) -> bool:
    """Whether a video is a stylized one; False for one that cannot be read, or where PyAV is not installed."""
    try:
        import av

        with (
            open_file(path),
            av.open(str(path), metadata_errors="replace", container_options=OPENING) as container,
        ):
            return any(is_mark(text) for text in container.metadata.values())
    except Exception:  # also where PyAV is missing; FFmpeg has errors of many classes, the end of a file is an EOFError
        return False


def suffix_for(source: Path) -> str:
    """Suffix of the stylized video: the source's, if such files can be written."""
    return source.suffix if source.suffix.lower() in CONTAINERS else ".mp4"


def check_container(path: Path) -> None:
    """Raise a VideoError if the suffix is not that of a container that can be written."""
    if path.suffix.lower() not in CONTAINERS:
        raise VideoError(f"{path}: expected a name ending in {', '.join(CONTAINERS)}, got {path.suffix!r}")
