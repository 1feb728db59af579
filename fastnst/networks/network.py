"""The transformation network f_W: a photo goes in, a stylized image of the same size comes out.

Johnson et al. (2016) with later changes, each declared at its line, and with several styles in one network (Dumoulin et
al., 2017). The file stands alone: it imports torch and nothing else.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Variance of a picture's values: up to a deviation of 0.002 (half a level of 8 bits) there is nothing to paint, from
# 0.02 everything. Of 3,128 squares of 256 px cut from photos, the calmest has seven times that variance.
FLAT, CLEAR = 0.002**2, 0.02**2


def pad(maps: Tensor, sides: list[int], mode: str = "reflect") -> Tensor:
    """`F.pad` in the type of the maps: autocast on a CPU would make float32 of bfloat16, and the next layer undo it.

    Those copies were a fifth of a training step (records/LOG.md).
    """
    if torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            return F.pad(maps, sides, mode=mode)
    return F.pad(maps, sides, mode=mode)


def within(maps: Tensor, margin: int) -> Tensor:
    """Maps or images `(B, C, H, W)` without their outermost places."""
    return maps[..., margin : maps.shape[-2] - margin, margin : maps.shape[-1] - margin] if margin else maps


class ConditionalInstanceNorm(nn.Module):
    """Instance norm (Ulyanov et al., 2016) with one scale and shift per style (Dumoulin et al., 2017, eq. 5).

    Attributes:
        statistics: Mean and variance `(C,)` by which maps are normalised, in place of their own.
    """

    statistics: tuple[Tensor, Tensor] | None = None

    def __init__(self, num_channels: int, num_styles: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(num_styles, num_channels))
        self.shift = nn.Parameter(torch.zeros(num_styles, num_channels))

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Normalise maps `(B, C, H, W)` over H and W; style holds weights `(1 or B, num_styles)`."""
        scale, shift = self.chosen(style)
        if torch.is_grad_enabled() and self.statistics is None and maps.device.type == "cpu":
            return self._normalise_one_by_one(maps, scale.expand(len(maps), -1), shift.expand(len(maps), -1))
        if len(style) == 1:
            return self.normalise(maps, scale[0], shift[0])
        return self.normalise(maps) * scale[..., None, None] + shift[..., None, None]

    def chosen(self, style: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift `(1 or B, C)` of a style."""
        return style @ self.scale, style @ self.shift

    def normalise(self, maps: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """Maps of mean 0 and variance 1, then scaled and shifted by `(C,)`."""
        if self.statistics is None:
            # One group per channel is instance norm; torch's group norm is the faster of the two on a CPU.
            return F.group_norm(maps, maps.shape[1], scale, shift)
        # Batch norm is torch's name for given statistics; unlike group norm, it gets mixed types from autocast.
        dtype = torch.promote_types(maps.dtype, torch.float32)
        mean, variance, scale, shift = (
            None if each is None else each.to(dtype) for each in (*self.statistics, scale, shift)
        )
        return F.batch_norm(maps.to(dtype), mean, variance, scale, shift)

    @staticmethod
    def _normalise_one_by_one(maps: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """The same for training on a CPU, where the gradient of a batch of one is quick; scale and shift are `(B, C)`.

        That of group norm takes seven times as long on channels_last maps in float32, 28 times in bfloat16, which was
        three quarters of a step of the network (records/LOG.md).
        """
        dtype = torch.promote_types(maps.dtype, torch.float32)  # batch norm gets mixed types from autocast
        each = zip(torch.split(maps, 1), scale.to(dtype), shift.to(dtype), strict=True)
        normed = [F.batch_norm(one, None, None, its_scale, its_shift, True) for one, its_scale, its_shift in each]
        return torch.cat(normed) if len(normed) > 1 else normed[0]


class Smooth(nn.Module):
    """Means of 3x3 places with weights 1 2 1: maps `(B, C, H, W)` without the finest wave that they can hold."""

    pad = 1
    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        row = (0.25, 0.5, 0.25)
        # From numbers, not from tensors: on the device `meta`, where files are checked, products and copies of tensors
        # import torch's compiler, which takes seconds.
        kernel = [[[above * beside for beside in row] for above in row]]
        self.register_buffer("kernel", torch.tensor([kernel] * channels), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Keep the shape `(B, C, H, W)`."""
        # A convolution of each channel by itself takes a quarter of the time of two poolings (records/LOG.md).
        return F.conv2d(pad(maps, [self.pad] * 4), self.kernel, groups=len(self.kernel))


class ConvNorm(nn.Module):
    """Reflection pad, convolution, conditional instance norm; the maps can be smoothed first."""

    # Differs from Johnson et al. (2016): reflection padding before every convolution instead of zeros, and
    # instance norm instead of batch norm, after Ulyanov et al. (2016). Where it smooths: a stride of 2 folds waves of
    # two or three places into long ones that the photo does not have (Zhang, 2019), and marks stuck to the grid.

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, smooth: bool = False, num_styles: int
    ) -> None:
        super().__init__()
        # No bias: the norm would subtract it.
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, bias=False)
        self.norm = ConditionalInstanceNorm(outputs, num_styles)
        self.pad = kernel // 2
        self.smooth = Smooth(inputs) if smooth else None

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Map `(B, inputs, H, W)` to `(B, outputs, ceil(H / stride), ceil(W / stride))`."""
        if self.smooth is not None:
            maps = self.smooth(maps)
        normed: Tensor = self.norm(self.conv(pad(maps, [self.pad] * 4)), style)
        return normed


class ResidualConvNorm(ConvNorm):
    """A layer that is added to what it reads, `(B, C, H, W)`; it begins as nothing."""

    def __init__(self, channels: int, *, num_styles: int) -> None:
        super().__init__(channels, channels, 3, num_styles=num_styles)
        nn.init.zeros_(self.norm.scale)

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Keep the shape `(B, C, H, W)`."""
        return maps + super().forward(maps, style)


class UpsampleConvNorm(nn.Module):
    """Upsampling to twice the size, nearest or smooth, reflection pad, 3x3 convolution, conditional instance norm."""

    # Differs from Johnson et al. (2016): upsampling and a convolution instead of a transposed convolution, which
    # leaves a checkerboard (Odena et al., 2016). Nearest and smoothed is bilinear: copies of a pixel are a grid that
    # marks stick to.

    pad = 1  # a pixel of the result needs 2x2 of those below it
    taps: Tensor

    def __init__(self, inputs: int, outputs: int, *, skip: int = 0, smooth: bool = False, num_styles: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, bias=False)
        self.smooth = Smooth(outputs) if smooth else None
        self.skip = nn.Conv2d(skip, outputs, 3, bias=False) if skip else None
        self.norm = ConditionalInstanceNorm(outputs, num_styles)
        # Of the three taps of a kernel, two lie on copies of one pixel: for an odd place (first row) the first and
        # second, for an even one the second and third.
        taps = [[[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]]
        self.register_buffer("taps", torch.tensor(taps), persistent=False)

    def forward(self, maps: Tensor, style: Tensor, skipped: Tensor | None = None) -> Tensor:
        """Map `(B, inputs, H, W)`, and those of the encoder `(B, skip, 2 H, 2 W)`, to `(B, outputs, 2 H, 2 W)`."""
        upsampled = self.upsampled(maps)
        if self.smooth is not None:
            upsampled = self.smooth(upsampled)
        if self.skip is not None and skipped is not None:
            upsampled = upsampled + self.skip(pad(skipped, [1] * 4))
        normed: Tensor = self.norm(upsampled, style)
        return normed

    def upsampled(self, maps: Tensor) -> Tensor:
        """Upsampling and convolution, `(B, outputs, 2 H, 2 W)`."""
        return upsample_and_convolve(maps, self.kernels())

    def kernels(self) -> Tensor:
        """Kernels `(4 outputs, inputs, 2, 2)` for `upsample_and_convolve`."""
        return torch.einsum("pay,qbx,oiyx->opqiab", self.taps, self.taps, self.conv.weight).flatten(0, 2)


def upsample_and_convolve(maps: Tensor, kernels: Tensor) -> Tensor:
    """Nearest upsampling and 3x3 convolution in one, with 4/9 of the products; equal but for rounding.

    A pixel of the result needs 2x2 of the pixels below it: one 2x2 convolution for each of the four places that it can
    have above a pixel. Each 2x2 pixels yield the four around their corner, so the first comes one pixel too early.
    """
    places = F.conv2d(pad(maps, [1] * 4, "replicate"), kernels)  # (B, 4 C, H + 1, W + 1)
    return F.pixel_shuffle(places, 2)[..., 1:-1, 1:-1]


class BlockConv2d(nn.Conv2d):
    """A convolution with an odd kernel and few outputs, computed for 2x2 pixels at once; sides come out even."""

    def forward(self, maps: Tensor) -> Tensor:
        """Map `(B, inputs, H + kernel - 1, W + kernel - 1)` to `(B, outputs, H, W)`; H and W are even."""
        return convolve_in_blocks(maps, *self.kernels())

    def kernels(self) -> tuple[Tensor, Tensor | None]:
        """Kernels, one larger, `(4 outputs, inputs, ...)`, and biases for `convolve_in_blocks`."""
        # One for each of the four places: the kernel with a row and a column of zeros.
        places = [F.pad(self.weight, (x, 1 - x, y, 1 - y)) for y in (0, 1) for x in (0, 1)]
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        return torch.stack(places, 1).flatten(0, 1), bias


def convolve_in_blocks(maps: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution with four outputs for each 2x2 pixels instead of one for each pixel; equal but for rounding.

    A processor computes as many outputs at once as a vector has numbers, and three channels leave most of it empty. The
    paper's last layer, 9x9 to 3 channels, takes a third of the time.
    """
    return F.pixel_shuffle(F.conv2d(maps, kernels, bias, stride=2), 2)


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


def mean_2x2(maps: Tensor) -> Tensor:
    """Mean of each 2x2 places of maps `(B, C, H, W)`, `(B, C, H - 1, W - 1)`; it removes a checkerboard."""
    return F.avg_pool2d(maps, 2, stride=1)


def mean_of_pixels(pixels: Tensor) -> Tensor:
    """As `mean_2x2`, but faster for few large maps; what is exported keeps the one operation that runtimes know."""
    if torch.compiler.is_exporting() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return mean_2x2(pixels)
    rows = torch.lerp(pixels[..., :-1, :], pixels[..., 1:, :], 0.5)
    return torch.lerp(rows[..., :-1], rows[..., 1:], 0.5)


class DeepBlock(nn.Module):
    """x + up(smooth(blocks(down(x)))): residual blocks at half the resolution, as a residual of their own."""

    # Differs from Johnson et al. (2016), who have all blocks at a quarter of the photo's resolution: here some see
    # twice as far, and have four times the weights, for the same work. Smoothing takes out the finest wave that the
    # maps can hold, a checkerboard: without it up to a third of their energy was in it, and flat regions were
    # hatched with it, every 16 px (records/LOG.md).

    def __init__(self, channels: int, inner: int, num_blocks: int, *, smooth: bool = False, num_styles: int) -> None:
        super().__init__()
        self.down = ConvNorm(channels, inner, 3, stride=2, smooth=smooth, num_styles=num_styles)
        self.blocks = nn.ModuleList(ResidualBlock(inner, num_styles=num_styles) for _ in range(num_blocks))
        self.smooth = Smooth(inner)
        self.up = UpsampleConvNorm(inner, channels, num_styles=num_styles)

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Keep the shape `(B, channels, H, W)`; H and W are even."""
        inner = F.relu(self.down(maps, style))
        for block in self.blocks:
            inner = block(inner, style)
        residual: Tensor = self.up(self.smooth(inner), style)
        return maps + residual


def contrast(images: Tensor) -> Tensor:
    """How much there is to paint in each of the images `(B, 3, H, W)`: 0 for one colour, 1 for any usual photo.

    Returns:
        `(B, 1, 1, 1)`.
    """
    # From the first pixel, so that one colour gives exactly 0; torch's own variance takes several times as long.
    apart = (images - images[..., :1, :1]).flatten(2)
    variance = (apart.square().mean(2) - apart.mean(2).square()).mean(1)[:, None, None, None]
    return ((variance - FLAT) / (CLEAR - FLAT)).clamp(0, 1)


class TransformationNetwork(nn.Module):
    """Two stride-2 convolutions down, residual blocks, two upsamplings back (Johnson et al., 2016, table 1).

    Args:
        full: Channels at full resolution. With 0 there is no layer there: the photo enters and leaves with each 2x2
            pixels folded into 12 channels at half resolution (a sub-pixel convolution; Shi et al., 2016).
        half, quarter, eighth: Channels at half, a quarter and an eighth of the resolution; with 0 eighth there is no
            layer there.
        num_blocks: Residual blocks at a quarter of the resolution.
        num_deep_blocks: Residual blocks at an eighth, between the others.
        antialias: Whether (1) or not (0) maps are smoothed before their resolution is halved, and in the decoder after
            it was doubled.
        skip: Whether (1) or not (0) the decoder sees the encoder's maps at half the resolution.
        fine: Residual layers at half the resolution in the decoder.
        num_styles: Styles that share the convolutions; each has its own scale and shift in every norm.

    Attributes:
        contrast: That of the whole picture `(1, 1, 1, 1)`, when its parts are stylized one by one.
    """

    contrast: Tensor | None = None

    # Differs from Johnson et al. (2016) where `full` is 0: layers of few channels at full resolution take more than
    # half of the time of a pass on a CPU and hold few of the weights. Where `antialias` is 1: strokes
    # stuck to a grid of 4 px, wherever the photo lay (as in Karras et al., 2021), and flat regions were hatched with
    # waves that fit it. Where `skip` is 1, as in a U-Net (Ronneberger et al., 2015): lines of the photo need not pass
    # through maps at a quarter of the resolution, and `fine` layers draw on them (records/LOG.md).

    def __init__(
        self,
        *,
        full: int = 0,
        half: int = 32,
        quarter: int = 64,
        eighth: int = 0,
        num_blocks: int = 4,
        num_deep_blocks: int = 0,
        antialias: int = 0,
        skip: int = 0,
        fine: int = 0,
        num_styles: int = 1,
    ) -> None:
        super().__init__()
        if min(half, quarter, num_styles) < 1 or min(full, eighth, num_blocks, num_deep_blocks, fine) < 0:
            raise ValueError(
                "half, quarter and num_styles must be at least 1, full, eighth, fine and the numbers of blocks at "
                f"least 0, got {half=}, {quarter=}, {num_styles=}, {full=}, {eighth=}, {fine=}, {num_blocks=}, "
                f"{num_deep_blocks=}"
            )
        if not {antialias, skip} <= {0, 1}:
            raise ValueError(f"antialias and skip must be 0 or 1, got {antialias=}, {skip=}")
        self.num_styles = num_styles
        self.folds = full == 0
        smooth = antialias == 1
        self.stride = 8 if eighth else 4  # sides are made a multiple of it
        self.encoder = nn.ModuleList([ConvNorm(half, quarter, 3, stride=2, smooth=smooth, num_styles=num_styles)])
        self.blocks = nn.ModuleList(ResidualBlock(quarter, num_styles=num_styles) for _ in range(num_blocks))
        if eighth:
            deep = DeepBlock(quarter, eighth, num_deep_blocks, smooth=smooth, num_styles=num_styles)
            self.blocks.insert(num_blocks // 2, deep)
        up = UpsampleConvNorm(quarter, half, skip=half * skip, smooth=smooth, num_styles=num_styles)
        self.decoder = nn.ModuleList([up, *(ResidualConvNorm(half, num_styles=num_styles) for _ in range(fine))])
        if self.folds:
            self.encoder.insert(0, ConvNorm(12, half, 3, num_styles=num_styles))
            self.painter = nn.Conv2d(half, 12, 3)
        else:
            self.encoder.insert(0, ConvNorm(full, half, 3, stride=2, smooth=smooth, num_styles=num_styles))
            self.encoder.insert(0, ConvNorm(3, full, 9, num_styles=num_styles))
            self.decoder.append(UpsampleConvNorm(half, full, smooth=smooth, num_styles=num_styles))
            self.painter = BlockConv2d(full, 3, 9)

    def forward(self, images: Tensor, style: Tensor | None = None, *, margin: int = 0) -> Tensor:
        """Stylize images.

        Args:
            images: `(B, 3, H, W)`, sRGB in [0, 1], H and W at least 16.
            style: Weights `(1, num_styles)` for all images or `(B, num_styles)`, one row for each; a row that
                sums to one mixes styles. Optional if the network has one style.
            margin: Pixels on each side that are seen, but not wanted in the result.

        Returns:
            Stylized images `(B, 3, H - 2 margin, W - 2 margin)` in [0, 1].

        Raises:
            ValueError: The network has several styles and none was chosen.
        """
        if style is None:
            if self.num_styles > 1:
                raise ValueError(f"the network has {self.num_styles} styles: pass their weights as `style`")
            style = images.new_ones(1, 1)
        return self.with_contrast_of(images, self.paint(images, style, margin), margin)

    def with_contrast_of(self, images: Tensor, painted: Tensor, margin: int = 0) -> Tensor:
        """Painted images, or the images themselves where these have no contrast, or a blend; see `forward`."""
        # Differs from Johnson et al. (2016): without variance a norm would make a pattern of rounding errors, another
        # one on each device, and multiply the gradient by 316. One colour stays that colour; a fade ends in its end.
        share = contrast(images) if self.contrast is None else self.contrast.to(images)
        return torch.lerp(painted.to(images), within(images, margin), 1 - share)

    def paint(self, images: Tensor, style: Tensor, margin: int = 0) -> Tensor:
        """The network itself, for images of some contrast; see `forward`."""
        height, width = (side - 2 * margin for side in images.shape[-2:])
        maps = self.padded(images)
        if self.folds:
            maps = F.pixel_unshuffle(maps, 2)
        for layer in self.encoder:
            before, maps = maps, F.relu(layer(maps, style))
        left = margin  # pixels of it that the maps still have
        *reaches, rest = self._reaches() if margin else [0] * (len(self.blocks) + 1)
        for block, reach in zip(self.blocks, reaches, strict=True):
            maps, left = self._cut(maps, left, reach)
            maps = block(maps, style)
        maps, left = self._cut(maps, left, rest)
        before = within(before, (margin - left) // 2)  # maps at half the resolution, with which the encoder ends
        maps = F.relu(self.decoder[0](maps, style, before))
        for layer in self.decoder[1:]:
            maps = F.relu(layer(maps, style))
        maps = self.painter(pad(maps, [self.painter.kernel_size[0] // 2] * 4))
        if self.folds:
            # The four places of a pixel have filters of their own, which print a grid on flat regions. The mean of each
            # 2x2 pixels takes it out (Sugawara et al., 2018). Three channels are slow in channels_last.
            pixels = F.pixel_shuffle(maps.contiguous(), 2).to(images.dtype)
            maps = mean_of_pixels(F.pad(pixels, (1, 0, 1, 0), mode="reflect"))
        # The paper's scaled tanh, in this project's range (its released code has 127.5 + 150 tanh, and clips), in one
        # step: (1 + tanh(x)) / 2 = sigmoid(2 x).
        return torch.sigmoid(2 * maps)[..., left : left + height, left : left + width]

    def padded(self, images: Tensor) -> Tensor:
        """Images `(B, 3, H, W)` mirrored on the right and below, until their sides are multiples of the stride."""
        # Always at least one pixel, never none: an exported graph is then the same for every size. Written without a
        # remainder, with which torch.export takes three times as long to show that. Mirrored, as at every other
        # edge: copies of a last row are a texture that no photo has, and became a strip (records/LOG.md).
        height, width = images.shape[-2:]
        right, below = ((side // self.stride + 1) * self.stride - side for side in (width, height))
        return F.pad(images, (0, right, 0, below), mode="reflect")

    @torch.no_grad()
    def in_every_style(self, images: Tensor) -> list[Tensor]:
        """Images `(B, 3, H, W)` in each style, without gradients."""
        return [self(images, style[None]) for style in torch.eye(self.num_styles).to(images)]

    @property
    def norms(self) -> list[ConditionalInstanceNorm]:
        """All norms, in the order in which they run."""
        return [module for module in self.modules() if isinstance(module, ConditionalInstanceNorm)]

    @property
    def reach(self) -> int:
        """Reach of the receptive field to each side in pixels; what is further away acts only through the norms."""
        # Places of the first layer may hold two pixels: then, one more.
        return int(self.folds) + self._reach_of(self.encoder) + self._reaches()[0]

    def _reaches(self) -> list[int]:
        """Reach of what is left of the network in front of each block and in front of the decoder."""
        rest = self._reach_of(self.decoder) + self.painter.kernel_size[0] // 2
        if self.folds:  # places of the painter hold two pixels, and a mean follows
            rest += self.painter.kernel_size[0] // 2 + 2
        reaches = [self._reach_of(block) for block in self.blocks] + [rest]
        return [sum(reaches[i:]) for i in range(len(reaches))]

    def _reach_of(self, part: nn.Module) -> int:
        """Reach of some layers to each side, in pixels of the photo."""
        own = set(part.modules())
        layers = [(layer, before, after) for layer, before, after in self._layers() if layer in own]
        reach = sum(layer.pad * before for layer, before, _ in layers)
        reach += sum(min(before, after) for layer, before, after in layers if layer.smooth is not None)
        return reach + sum(self.stride for module in own if isinstance(module, DeepBlock))

    def _cut(self, maps: Tensor, left: int, reach: int) -> tuple[Tensor, int]:
        """Maps at a quarter of the resolution without what is of no use, and the pixels of the margin that are left.

        Args:
            maps: `(B, C, H, W)`.
            left: Pixels of the margin that the maps have on each side.
            reach: How many of them the layers that follow can see.
        """
        spare = max(0, left - reach) // self.stride * self.stride
        return within(maps, spare // 4), left - spare

    @property
    def values_per_pixel(self) -> float:
        """Values in input and output of the widest layer together, per pixel of the photo."""
        convs = [(layer.conv, before, after) for layer, before, after in self._layers()]
        return max(conv.in_channels / before**2 + conv.out_channels / after**2 for conv, before, after in convs)

    def _layers(self) -> list[tuple[ConvNorm | UpsampleConvNorm, int, int]]:
        """Layers in the order in which they run, with the pixels from place to place in their input and output."""
        layers: list[tuple[ConvNorm | UpsampleConvNorm, int, int]] = []
        step = 1 + int(self.folds)
        for layer in self.modules():
            if isinstance(layer, ConvNorm | UpsampleConvNorm):
                before, step = step, step * layer.conv.stride[0] if isinstance(layer, ConvNorm) else step // 2
                layers.append((layer, before, step))
        return layers
