"""Videos that the project's own mutators damaged: painted, or refused in a line, and soon."""

import logging
import random
import resource
import time

import pytest
from clips import make_clip
from malformed import mutated

from fastnst.cli import main

COUNT = 50  # of each clip


@pytest.mark.parametrize("name", ["h264.mp4", "mpeg4.mkv"])
@pytest.mark.long
def test_a_damaged_video_is_painted_or_refused_in_a_line(name, tmp_path, sky, capsys) -> None:
    codec, sound = {"h264.mp4": ("libx264", "aac"), "mpeg4.mkv": ("mpeg4", "libopus")}[name]
    honest = make_clip(tmp_path / name, codec=codec, sound=sound, times=(0, 40, 80, 120)).read_bytes()
    chance, codes = random.Random(0), {0: 0, 2: 0}
    path, painted = tmp_path / f"odd.{name}", tmp_path / "painted" / name
    fast = ("--device", "cpu", "--runtime", "torch", "--size", "32", "--max-megapixels", "4", "--force", "--quiet")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(COUNT + 1):
        path.write_bytes(mutated(honest, chance, honest) if number else honest)
        logging.getLogger("fastnst").handlers = []
        painted.unlink(missing_ok=True)
        started = time.process_time()
        with pytest.raises(SystemExit) as ended:
            main(["apply", str(path), "--style", f"{sky}:day", "-o", str(painted), *fast])
        assert time.process_time() - started < 10, number
        told = capsys.readouterr().err
        codes[int(ended.value.code or 0)] += 1
        assert "Traceback" not in told, told
        if ended.value.code:
            lines = told.splitlines()
            assert lines[-1] == "fastnst: nothing was painted" and len(lines) == 2 and path.name in lines[0], told
        else:
            assert painted.stat().st_size, number
        assert [each.name for each in painted.parent.glob("*")] == [painted.name] * painted.exists()
        assert number or codes == {0: 1, 2: 0}, told
    assert min(codes.values()) > 5, codes
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KB
