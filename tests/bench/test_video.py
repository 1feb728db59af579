"""The clip's motion is the true one, and the report holds what is claimed."""

import json
from pathlib import Path

import pytest
import torch

from fastnst.base.errors import UserError
from fastnst.bench.settings import BenchVideoSettings
from fastnst.bench.video import bench_video, render_clip
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import save_style
from fastnst.video.flow import Motion, warping_error


def test_the_clip_moves_as_it_says() -> None:
    clip = render_clip(4, 160, 90)
    assert len(clip.photos) == 4 and len(clip.motions) == 3
    assert clip.photos[0].shape == (1, 3, 90, 160) and clip.motions[0].flow.shape == (90, 160, 2)
    still = [Motion(0 * motion.flow, motion.trust) for motion in clip.motions]
    assert warping_error(clip.photos, clip.motions) < 0.003  # noise and interpolation
    assert warping_error(clip.photos, still) > 0.008
    assert all(0.8 < motion.trust.mean() < 0.99 for motion in clip.motions)
    everywhere = [Motion(motion.flow, torch.ones_like(motion.trust)) for motion in clip.motions]
    assert warping_error(clip.photos, everywhere) > 1.3 * warping_error(clip.photos, clip.motions)


def test_the_report_has_errors_times_and_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    network = {"half": 4, "quarter": 8, "num_blocks": 1, "num_styles": 1}
    info = {"name": "wave", "styles": [{"name": "wave"}], "network": network}
    save_style(Path("checkpoints/wave.safetensors"), TransformationNetwork(**network), info)
    config = BenchVideoSettings(style="wave", width=96, height=64, frames=4, output=Path("video.json"), json=True)
    result = bench_video(config)
    assert json.loads(capsys.readouterr().out) == json.loads(Path("video.json").read_text()) == result
    assert result["error_ratio"] == result["warping_error"]["steady"] / result["warping_error"]["plain"] < 1
    assert result["painting"].keys() == result["frames_per_second"].keys() == {"plain", "steady"}
    assert result["painting"]["plain"]["ratio"] == 1
    with pytest.raises(UserError, match=r"video\.json exists"):
        bench_video(config)
