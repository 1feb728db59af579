"""What the page paints with: the style file `paintings` and the predictor in graphs for tiles, a picture of each style.

    python web/network.py

It writes `public/`. Needs `pip install '.[onnx]'`. To be run when one of the two files changes; what it writes is
committed.
"""

from pathlib import Path

from fastnst.exporting.tiled import write_tiled, write_tiled_predictor
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image
from fastnst.images.write import save_image
from fastnst.networks.style_file import load_style
from fastnst.painting.stylizer import Stylizer
from fastnst.universal.names import find_network

PUBLIC = Path(__file__).parent / "public"
SIDE = 160  # pixels of a picture of a style

style = load_style("paintings")
write_tiled(style, PUBLIC / "network")
write_tiled_predictor(find_network(instant=True), PUBLIC / "any")
photo = load_image(resolve_photo("sample:astronaut"), size=256)[..., :SIDE, 40 : 40 + SIDE]
for name in style.style_names:
    painted = Stylizer(style, weights={name: 1})(photo)
    save_image(painted, PUBLIC / "styles" / f"{name}.jpg", quality=85)
