from types import SimpleNamespace

import torch

from fastnst.images import load_image
from fastnst.monitor import Previews


def test_a_preview_has_the_borders_of_apply_and_training_goes_on_as_it_was(tiny_network, tmp_path) -> None:
    photos = torch.rand(2, 3, 32, 40)
    module = SimpleNamespace(network=tiny_network.train(), device=torch.device("cpu"))
    Previews(photos, every=1, folder=tmp_path).paint(SimpleNamespace(logger=None), module)
    assert tiny_network.training
    with torch.no_grad():
        wrapped, painted = tiny_network(photos), tiny_network.eval()(photos)
    shown = load_image(tmp_path / "preview.png")[0, :, 32:]
    assert (shown - torch.cat(list(painted), 2)).abs().max() < 0.003
    assert (shown - torch.cat(list(wrapped), 2)).abs().max() > 0.01
