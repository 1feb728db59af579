"""`UniversalTrainer`: the Lightning module that trains an autoencoder for any painting. Knows nothing of files."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastnst.base.errors import TrainingError
from fastnst.images.levels import psnr
from fastnst.training.data import Draw, PhotoBatch, PhotoDataModule
from fastnst.training.muon import Muon
from fastnst.training.schedule import Clock, Schedule
from fastnst.training.timed_module import LOG_EVERY, TimedModule
from fastnst.universal.autoencoder import LEVELS, Autoencoder

PIXELS = 10.0  # weight of the error of the pixels, a number of about 0.05, against those of features, about 0.2
FILTERS, MAPS = 2.0, 5.0  # learning rates of filters (no norm follows them) and of the maps, in those of the rest
TINY = 1e-8
FITTED_PHOTOS = 32
FIRST_WEIGHT = 30.0  # of level 1 in the fit of the last layer: its squared error is a hundredth of that of the others
RIDGE = 1e-8  # of the mean of the diagonal


def relative_error(found: Tensor, wanted: Tensor) -> Tensor:
    """||found - wanted||^2 / ||wanted||^2 for each image of `(B, C, H, W)`: `(B,)`."""
    return (found - wanted).square().flatten(1).sum(1) / (wanted.square().flatten(1).sum(1) + TINY)


@torch.no_grad()
def fit_last_layer(network: Autoencoder, photos: Tensor) -> None:
    """Give the decoder's last convolution the weights with the least squared error of pixels.

    It is the only layer without a ReLU after it, so that its best weights have a closed form. Its inputs are the
    encoder's own maps for level 1 and what the blocks before it make of the other levels.

    Args:
        network: Changed in place.
        photos: `(B, 3, H, W)`, H and W multiples of 16.
    """
    last = next(each for each in network.decoder[0].modules() if isinstance(each, nn.Conv2d))
    assert last.bias is not None
    size, pad = last.weight[0].numel() + 1, last.kernel_size[0] // 2
    left = torch.zeros(size, size, dtype=torch.float64, device=photos.device)
    right = torch.zeros(size, 3, dtype=torch.float64, device=photos.device)
    for photo in torch.split(photos, 1):
        for level, maps in enumerate(network.encode(photo), 1):
            for block in reversed(network.decoder[1:level]):
                maps = block(maps)
            taps = F.unfold(F.pad(maps, [pad] * 4, mode="reflect"), last.kernel_size)[0]  # (size - 1, H W)
            taps = torch.cat([taps, torch.ones_like(taps[:1])])
            weight = FIRST_WEIGHT if level == 1 else 1.0
            left += weight * (taps @ taps.T).double()
            right += weight * (taps @ photo[0].flatten(1).T).double()
    left += RIDGE * left.diag().mean() * torch.eye(size).to(left)
    solution = torch.linalg.solve(left, right).T.to(last.weight)
    last.weight.copy_(solution[:, :-1].view_as(last.weight))
    last.bias.copy_(solution[:, -1])


class UniversalTrainer(TimedModule):
    """Trains a decoder to invert its encoder, and unless that is the teacher itself, the encoder to see like it.

    Every photo of a batch is decoded from one level, the next photo from the next one, so that one encoding and one
    decoding a photo train all levels. The loss is the mean over photos of four errors:

    - of pixels, the root mean square of `I_o - I_i`;
    - of features, `||Phi(I_o) - Phi(I_i)||^2`, where Phi is the encoder up to the photo's level;
    - of features on the way, what a block of the decoder makes of the level above it;
    - of distillation: VGG19's features less a linear map of the encoder's, at every level. The map is linear so that
      the covariance of one follows from that of the other.

    Args:
        network: The autoencoder to train.
        teacher: VGG19; None if the network's own encoder is that, and stays as it is.
        schedule: Learning rate and crop size.
        clock: Progress of the run; ends it.
    """

    # Differs from Li et al. (2017), equation 1: errors of features are relative to their size, and that of pixels is a
    # root, because the squares of level 5 are some hundred times those of level 1. Distillation as Wang et al. (2020),
    # "Collaborative distillation", with all levels in one encoder; errors on the way as Chiu and Gurari (2022).

    def __init__(self, network: Autoencoder, teacher: Autoencoder | None, *, schedule: Schedule, clock: Clock) -> None:
        super().__init__(clock, schedule)
        self.network = network
        self.teacher = teacher.requires_grad_(False).eval() if teacher else None
        if teacher:
            pairs = zip(network.channels, teacher.channels, strict=True)
            self.maps = nn.ModuleList(nn.Conv2d(own, theirs, 1) for own, theirs in pairs)
        else:
            network.encoder.requires_grad_(False)
        self.strict_loading = False  # the teacher is not in the checkpoint

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """The weights without the teacher's."""
        state = super().state_dict(*args, **kwargs)
        return {name: value for name, value in state.items() if not name.startswith("teacher.")}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Muon for the filters, Adam for the rest: biases, the layers at the pixels, the maps to the teacher."""
        trained = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        inner = {
            id(each.weight)
            for each in self.network.modules()
            if isinstance(each, nn.Conv2d) and min(each.in_channels, each.out_channels) > 3
        }
        filters = [each for each in trained if id(each) in inner]
        others = [each for each in trained if id(each) not in inner]
        optimizer = Muon(filters, others, lr=self.schedule.learning_rate, ratio=FILTERS)
        if self.teacher is not None:
            optimizer.add_param_group({"params": list(self.maps.parameters()), "muon": False, "times": MAPS})
        return optimizer

    def training_step(self, batch: PhotoBatch, batch_idx: int) -> Tensor:
        """Loss of one batch."""
        levels = [(place + self.global_step) % LEVELS + 1 for place in range(len(batch.photos))]
        errors = self.errors(batch.photos, levels, batch.draws)
        loss = PIXELS * errors["pixels"] + sum(value for name, value in errors.items() if name != "pixels")
        if not loss.isfinite():
            raise TrainingError(f"the loss is no number at step {self.global_step}; try a lower --learning-rate")
        if self.global_step % LOG_EVERY == 0:
            self.log_dict({f"train/{name}": value.detach() for name, value in errors.items()} | {"train/loss": loss})
        return loss

    def errors(self, photos: Tensor, levels: list[int], draws: tuple[Draw, ...] = ()) -> dict[str, Tensor]:
        """The errors by name, each a mean over photos `(B, 3, H, W)`, which are decoded from these levels."""
        photos = photos.contiguous(memory_format=torch.channels_last)
        features = self.network.encode(photos)
        wanted = [each.detach() for each in features]
        images, on_the_way = self._decoded(features, wanted, levels)
        again = self._encoded_by_a_fixed_encoder(images)
        places = [(level - 1, place) for place, level in enumerate(levels)]
        errors = {
            "pixels": ((images - photos).square().flatten(1).mean(1) + TINY).sqrt().mean(),
            "features": torch.cat([relative_error(again[k][[i]], wanted[k][[i]]) for k, i in places]).mean(),
            "on_the_way": on_the_way,
        }
        if self.teacher is not None:
            targets = self.once(draws, lambda: self._targets_of(photos))
            pairs = zip(self.maps, features, targets, strict=True)
            errors["distillation"] = torch.stack(
                [relative_error(fit(own), theirs.to(own)).mean() for fit, own, theirs in pairs]
            ).sum()
        return errors

    def _decoded(self, features: list[Tensor], wanted: list[Tensor], levels: list[int]) -> tuple[Tensor, Tensor]:
        """Images in the order of the photos, and the mean error of the features on the way to them."""
        order: list[int] = []  # of the photos whose decoding has begun
        now, errors = features[-1][:0], []
        for level in range(LEVELS, 0, -1):
            if order:
                errors.append(relative_error(now, wanted[level - 1][order]))
            begin = [place for place, each in enumerate(levels) if each == level]
            now = torch.cat([now, features[level - 1][begin]]) if order else features[level - 1][begin]
            order += begin
            now = self.network.decoder[level - 1](now) if order else now
        back = sorted(range(len(order)), key=order.__getitem__)
        return now[back], torch.cat(errors).mean() if errors else now.new_zeros(())

    def _encoded_by_a_fixed_encoder(self, images: Tensor) -> list[Tensor]:
        """Features through which gradients reach the images, but not the encoder, which would learn to see less."""
        encoder = {name: value.detach() for name, value in self.network.encoder.named_parameters()}
        features = [images]
        for number, block in enumerate(self.network.encoder):
            own = {name.partition(".")[2]: value for name, value in encoder.items() if name.startswith(f"{number}.")}
            features.append(torch.func.functional_call(block, own, (features[-1],)))
        return features[1:]

    def _targets_of(self, photos: Tensor) -> list[Tensor]:
        """The teacher's features."""
        assert self.teacher is not None
        with torch.no_grad():
            return [each.bfloat16() for each in self.teacher.encode(photos)]

    def finish(self, photos: PhotoDataModule) -> bool:
        """Fit the decoder's last layer, which all levels share, by least squares."""
        crops = photos.first_crops(FITTED_PHOTOS, self.schedule.crop_size).to(self.device)
        fit_last_layer(self.network, crops)
        return True

    def validation_step(self, batch: PhotoBatch, batch_idx: int) -> None:
        """PSNR of validation photos decoded from each level, in dB."""
        features = self.network.encode(batch.photos)
        for level, each in enumerate(features, 1):
            images = self.network.decode(each, level).clamp(0, 1)
            pairs = zip(images, batch.photos, strict=True)
            decibels = sum(psnr(image, photo) for image, photo in pairs) / len(images)
            self.log(f"held_out/psnr_{level}", decibels, batch_size=len(images), sync_dist=True)
