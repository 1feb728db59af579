"""ONNX Runtime on one thread, for measure.mjs: writes the photo, then a pass's seconds for each line that comes."""

import json
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import onnxruntime
from PIL import Image

from fastnst import __version__
from fastnst.images.photos import resolve_photo

site, photo = Path(sys.argv[1]), Path(sys.argv[2])
with Image.open(resolve_photo("sample:astronaut")) as image:
    image.convert("RGB").save(photo)
    pixels = np.asarray(image.convert("RGB"), np.float32).transpose(2, 0, 1)[None] / 255
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(site / "network" / "whole.onnx", options, providers=["CPUExecutionProvider"])
row = np.zeros((1, len(json.loads((site / "network" / "network.json").read_text())["styles"])), np.float32)
row[0, 0] = 1
print(json.dumps({"fastnst": __version__, "onnxruntime": onnxruntime.__version__}), flush=True)
for _ in sys.stdin:
    started = perf_counter()
    session.run(None, {"image": pixels, "style": row})
    print(perf_counter() - started, flush=True)
