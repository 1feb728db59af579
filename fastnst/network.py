"""The transformation network f_W: a photo goes in, a stylized image of the same size comes out.

Johnson et al. (2016) with the changes that the field has settled on since, each declared at its line, and with
several styles in one network (Dumoulin et al., 2017). The file stands alone: it imports torch and nothing else.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Named sizes. `johnson` is the paper's network (1.68 M parameters), `slim` has half of its channels (0.43 M).
PRESETS: dict[str, dict[str, int]] = {
    "johnson": {"width": 32, "num_blocks": 5},
    "slim": {"width": 16, "num_blocks": 5},
}

STRIDE = 4  # two convolutions halve the size, two upsamplings double it


class ConditionalInstanceNorm(nn.Module):
    """Instance norm (Ulyanov et al., 2016) with one scale and shift per style (Dumoulin et al., 2017, eq. 5)."""

    def __init__(self, num_channels: int, num_styles: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(num_styles, num_channels))
        self.shift = nn.Parameter(torch.zeros(num_styles, num_channels))

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Normalise maps `(B, C, H, W)` over H and W; style holds weights `(1 or B, num_styles)`."""
        scale, shift = style @ self.scale, style @ self.shift
        channels = self.scale.shape[1]
        # One group per channel is instance norm; torch's group norm is the faster of the two on a CPU.
        if len(style) == 1:
            return F.group_norm(maps, channels, scale[0], shift[0])
        return F.group_norm(maps, channels) * scale[..., None, None] + shift[..., None, None]


class ConvNorm(nn.Module):
    """Reflection pad, convolution, conditional instance norm."""

    # Differs from Johnson et al. (2016): reflection padding before every convolution instead of zeros, and
    # instance norm instead of batch norm, after Ulyanov et al. (2016).

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, num_styles: int) -> None:
        super().__init__()
        # No bias: the norm would subtract it.
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, bias=False)
        self.norm = ConditionalInstanceNorm(outputs, num_styles)
        self.pad = kernel // 2

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Map `(B, inputs, H, W)` to `(B, outputs, ceil(H / stride), ceil(W / stride))`."""
        normed: Tensor = self.norm(self.conv(F.pad(maps, [self.pad] * 4, mode="reflect")), style)
        return normed


class ResidualBlock(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))), no ReLU after the sum (Johnson et al., 2016, supplementary material)."""

    # Differs from Johnson et al. (2016): padded convolutions keep the size, where the paper pads the photo by
    # 40 px once, leaves the block's convolutions unpadded and crops the identity.

    def __init__(self, channels: int, *, num_styles: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels, 3, num_styles=num_styles)
        self.second = ConvNorm(channels, channels, 3, num_styles=num_styles)

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Keep the shape `(B, channels, H, W)`."""
        residual: Tensor = self.second(F.relu(self.first(maps, style)), style)
        return maps + residual


class TransformationNetwork(nn.Module):
    """Two stride-2 convolutions down, residual blocks, two upsamplings back (Johnson et al., 2016, table 1).

    Args:
        width: Channels at full resolution; twice as many at half and four times as many at a quarter.
        num_blocks: Residual blocks at a quarter of the resolution.
        num_styles: Styles that share the convolutions; each has its own scale and shift in every norm.
    """

    def __init__(self, *, width: int = 16, num_blocks: int = 5, num_styles: int = 1) -> None:
        super().__init__()
        if min(width, num_styles) < 1 or num_blocks < 0:
            raise ValueError(
                f"width and num_styles must be at least 1 and num_blocks at least 0, "
                f"got width={width}, num_styles={num_styles}, num_blocks={num_blocks}"
            )
        self.num_styles = num_styles
        self.encoder = nn.ModuleList(
            [
                ConvNorm(3, width, 9, num_styles=num_styles),
                ConvNorm(width, 2 * width, 3, stride=2, num_styles=num_styles),
                ConvNorm(2 * width, 4 * width, 3, stride=2, num_styles=num_styles),
            ]
        )
        self.blocks = nn.ModuleList(ResidualBlock(4 * width, num_styles=num_styles) for _ in range(num_blocks))
        # Differs from Johnson et al. (2016): nearest upsampling and a convolution instead of a transposed
        # convolution, which leaves a checkerboard (Odena et al., 2016).
        self.decoder = nn.ModuleList(
            [
                ConvNorm(4 * width, 2 * width, 3, num_styles=num_styles),
                ConvNorm(2 * width, width, 3, num_styles=num_styles),
            ]
        )
        self.painter = nn.Conv2d(width, 3, 9)

    def forward(self, images: Tensor, style: Tensor | None = None) -> Tensor:
        """Paint images.

        Args:
            images: `(B, 3, H, W)`, sRGB in [0, 1], H and W at least 16.
            style: Weights `(1, num_styles)` for all images or `(B, num_styles)`, one row for each; a row that
                sums to one mixes styles. May be left out where the network has one style.

        Returns:
            Stylized images `(B, 3, H, W)` in [0, 1].

        Raises:
            ValueError: The network has several styles and none was chosen.
        """
        if style is None:
            if self.num_styles > 1:
                raise ValueError(f"the network has {self.num_styles} styles: pass their weights as `style`")
            style = images.new_ones(1, 1)
        height, width = images.shape[-2:]
        # Always 1 to 4 pixels, never none: an exported graph is then the same for every size.
        maps = F.pad(images, (0, STRIDE - width % STRIDE, 0, STRIDE - height % STRIDE), mode="replicate")
        for layer in self.encoder:
            maps = F.relu(layer(maps, style))
        for block in self.blocks:
            maps = block(maps, style)
        for layer in self.decoder:
            maps = F.relu(layer(F.interpolate(maps, scale_factor=2.0, mode="nearest"), style))
        maps = self.painter(F.pad(maps, [4] * 4, mode="reflect"))
        # The paper's scaled tanh, in this project's range (its released code has 127.5 + 150 tanh, and clips).
        return (torch.tanh(maps) * 0.5 + 0.5)[..., :height, :width]
