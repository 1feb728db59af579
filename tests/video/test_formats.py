"""Names of videos, and the mark of a painted one."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch

from fastnst.base.progress import progress_bar
from fastnst.images.metadata import MARK
from fastnst.video.formats import CONTAINERS, has_video_mark, is_partial, is_video
from fastnst.video.paint import paint_video


def make_clip(path: Path, **metadata: str) -> Path:
    with av.open(path, "w") as container:
        container.metadata.update(metadata)
        stream = container.add_stream("libvpx-vp9" if path.suffix == ".webm" else "libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for level in (0, 90, 180):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), level, np.uint8))))
        container.mux(stream.encode(None))
    return path


def negative(image: torch.Tensor) -> torch.Tensor:
    return 255 - image


@pytest.mark.parametrize("source", CONTAINERS)
@pytest.mark.parametrize("target", CONTAINERS)
def test_a_painted_video_says_so_beside_its_own_comment(source, target, tmp_path) -> None:
    clip = make_clip(tmp_path / f"clip{source}", comment="my holiday", title="a clip")
    assert not has_video_mark(clip)
    paint_video(clip, tmp_path / f"painted{target}", negative, progress=progress_bar(shown=False))
    assert has_video_mark(tmp_path / f"painted{target}")
    with av.open(tmp_path / f"painted{target}") as container:
        metadata = {name.lower(): value for name, value in container.metadata.items()}
    assert metadata["comment"] == f"my holiday; {MARK}" and metadata["title"] == "a clip"


def test_a_video_that_appeared_meanwhile_stays(tmp_path) -> None:
    clip, target = make_clip(tmp_path / "clip.mp4"), tmp_path / "painted.mp4"
    target.write_bytes(b"of another process")
    with pytest.raises(FileExistsError, match=r"painted\.mp4 exists by now: --force replaces it"):
        paint_video(clip, target, negative, replace=False, progress=progress_bar(shown=False))
    assert target.read_bytes() == b"of another process"
    assert {path.name for path in tmp_path.iterdir()} == {"clip.mp4", "painted.mp4", "painted.partial.mp4"}
    paint_video(clip, target, negative, replace=True, progress=progress_bar(shown=False))
    assert has_video_mark(target)


def test_what_cannot_be_read_has_no_mark(tmp_path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "ends.mp4").write_bytes(b"%\xffmGmm" + b"\xff" * 202)  # of which FFmpeg says that it ends too early
    for name in ("text.mp4", "ends.mp4", "missing.mp4", "."):
        assert not has_video_mark(tmp_path / name)


def test_names_of_videos_and_of_those_that_were_interrupted() -> None:
    assert [is_video(Path(name)) for name in ("a.MP4", "a.b.webm", "mp4", "a.gif")] == [True, True, False, False]
    assert all(is_partial(Path(name)) for name in ("clip.partial.mp4", "clip.partial12.mkv"))
    assert not any(is_partial(Path(name)) for name in ("clip.mp4", "partial.mp4", "clip.partials.mp4"))
