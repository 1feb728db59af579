"""Memory that encoders of animations hold, beyond the frames themselves: bytes for each pixel of a frame.

    python records/memory/animations.py --output animations.json

Each case is a process of its own, which holds the painted frames, and then writes them as `fastnst apply` does. Of the
peaks with few and with many frames the slope is what a frame takes, and the rest what the encoder takes at any length.
"""

import argparse
import itertools
import json
import subprocess
import sys
from pathlib import Path

FEW, MANY = 4, 12  # frames
SIDES = (1000, 800)  # pixels
CHILD = """
import io, sys
import numpy as np
from PIL import Image
from fastnst.base.memory import give_back
from fastnst.images.decode import pyvips
from fastnst.images.write import pillow_options, to_pillow
from fastnst.painting.animation import Animation, _times

def in_use(name):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(name))

format, mode, count, width, height = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
chance = np.random.default_rng(0)
slope = np.linspace(40, 200, width)[None, :, None] * np.ones((height, 1, len(mode)))
frames = []
for number in range(count):
    noise = chance.standard_normal((height, width, len(mode)), np.float32)
    frames.append(to_pillow((slope + 20 * noise + number).clip(0, 255).astype(np.uint8), format))
    del noise
options = pillow_options(format, pyvips.Image.black(width, height), quality=95, stylized=True)
options |= _times(format, Animation([], [100.0] * count, 0), transparent=mode == "RGBA")
give_back()
open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
before = in_use("VmRSS")
with open("/dev/null", "wb") as file:
    frames[0].save(file, format, save_all=True, append_images=frames[1:], **options)
print(in_use("VmHWM") - before)
"""


def held(format: str, mode: str, count: int) -> int:
    """Bytes that writing takes at most."""
    words = [format, mode, str(count), *map(str, SIDES)]
    done = subprocess.run([sys.executable, "-c", CHILD, *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return int(done.stdout)


def main() -> None:
    """Measure all formats."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path)
    asked, results, pixels = parser.parse_args(), [], SIDES[0] * SIDES[1]
    for format, mode in itertools.product(("GIF", "PNG", "WEBP", "AVIF"), ("RGB", "RGBA")):
        few, many = (held(format, mode, count) / pixels for count in (FEW, MANY))
        frame = (many - few) / (MANY - FEW)
        result = {"format": format, "mode": mode, "of_a_frame": round(frame, 1), "always": round(few - FEW * frame, 1)}
        results.append({**result, "few": round(few, 1), "many": round(many, 1)})
        print(json.dumps(results[-1]), flush=True)
    if asked.output:
        asked.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
