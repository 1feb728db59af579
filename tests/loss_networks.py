"""Loss networks as tests compare them: their deepest layers, and torchvision's own with random weights."""

import torch
from torch import nn
from torchvision.models import densenet121, squeezenet1_0, squeezenet1_1, vgg

DEEPEST = {
    "vgg19": "pool5",
    "vgg16": "pool5",
    "vgg19-torchvision": "pool5",
    "densenet121": "relu",
    "squeezenet1_1": "fire9",
    "squeezenet1_0-caffe": "fire9",
}


def randomised(network: nn.Module) -> nn.Module:
    """The network in eval mode with weights and batch statistics that hide no mistake."""
    generator = torch.Generator().manual_seed(2)
    for name, tensor in network.state_dict().items():
        if tensor.ndim == 4:
            nn.init.kaiming_normal_(tensor, generator=generator)
        elif tensor.is_floating_point():
            low = 0.5 if name.endswith(("weight", "running_var")) else -0.5
            nn.init.uniform_(tensor, low, low + 1, generator=generator)
    return network.eval().requires_grad_(False)


def torchvision_network(name: str) -> nn.Module:
    """A module with torchvision's own `features`, random and without a VGG's 500 MB of classifier."""
    if name == "densenet121":
        return randomised(densenet121())
    if name == "squeezenet1_1":
        return randomised(squeezenet1_1())
    if name == "squeezenet1_0-caffe":
        return randomised(squeezenet1_0())
    layers = vgg.make_layers(vgg.cfgs["D" if name == "vgg16" else "E"], batch_norm=False)
    return randomised(nn.ModuleDict({"features": layers}))
