"""Photos as batches: every sample is a function of its place in the run, and bad files never end one."""

import itertools
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from photo_folders import batches_of, numbers_in, photos_of, save_photo, training_batches
from PIL import Image
from torch import Tensor
from torch.testing import assert_close

from fastnst.images import photos, write
from fastnst.images.levels import from_levels
from fastnst.training import data
from fastnst.training.data import TOGETHER, PhotoBatch, visited
from fastnst.training.sources import DataError


def test_a_batch_is_square_crops_of_bytes_and_becomes_an_image_on_the_device(folder: Path) -> None:
    module = photos_of(folder)
    batch = next(batches_of(module))
    assert (batch.photos.shape, batch.photos.dtype, batch.skipped) == ((4, 3, 16, 16), torch.uint8, ())
    image = module.on_after_batch_transfer(batch, 0)
    assert isinstance(image, PhotoBatch) and image.photos.dtype == torch.float32
    assert_close(image.photos * 255, batch.photos.float())


def test_the_same_seed_gives_the_same_photos_and_another_seed_others(folder: Path) -> None:
    first, second = (torch.cat(training_batches(photos_of(folder), 6)) for _ in range(2))
    other = torch.cat(training_batches(photos_of(folder, seed=1), 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert numbers_in(first) != numbers_in(other)


def test_a_run_that_starts_at_a_later_step_goes_on_with_the_same_photos(folder: Path) -> None:
    straight = training_batches(photos_of(folder), 9)
    resumed = training_batches(photos_of(folder), 4, start=5)
    assert torch.equal(torch.cat(straight[5:]), torch.cat(resumed))


def test_the_start_step_counts_when_it_is_set_after_the_loader_was_made(folder: Path) -> None:
    module = photos_of(folder)
    loader = module.train_dataloader()
    module.start_step = 3
    assert torch.equal(torch.as_tensor(next(iter(loader)).photos), training_batches(photos_of(folder), 4)[3])


def test_workers_change_nothing(folder: Path) -> None:
    alone, helped = (training_batches(photos_of(folder, workers=workers), 5, start=2) for workers in (0, 2))
    assert torch.equal(torch.cat(alone), torch.cat(helped))


@pytest.mark.parametrize("batch_size", [4, 5])
@pytest.mark.parametrize("visits", [1, 3])
def test_two_processes_share_what_one_would_draw(folder: Path, batch_size: int, visits: int) -> None:
    shares = []
    for rank in range(2):
        module = photos_of(folder, batch_size=batch_size, visits=visits)
        module.trainer = SimpleNamespace(global_rank=rank, world_size=2)  # type: ignore[assignment]
        shares.append(training_batches(module, 30))
    together = [torch.cat(step) for step in zip(*shares, strict=True)]
    alone = training_batches(photos_of(folder, batch_size=batch_size, visits=visits), 30)
    assert torch.equal(torch.stack(together), torch.stack(alone))


def test_a_batch_says_which_of_the_photos_of_its_step_it_has(folder: Path) -> None:
    module = photos_of(folder, batch_size=5)
    module.trainer = SimpleNamespace(global_rank=1, world_size=2)  # type: ignore[assignment]
    batch = module.on_after_batch_transfer(next(batches_of(module)), 0)
    assert (batch.first, len(batch.photos), batch.photos_of_step) == (2, 3, 5)
    assert next(iter(module.val_dataloader())).photos_of_step == 1


def test_more_processes_than_photos_a_step_are_refused(folder: Path) -> None:
    module = photos_of(folder, batch_size=1)
    module.trainer = SimpleNamespace(global_rank=0, world_size=2)  # type: ignore[assignment]
    with pytest.raises(DataError, match="2 processes need as many photos a step at least, got 1"):
        module.train_dataloader()


def test_every_training_photo_comes_once_before_any_comes_twice(folder: Path) -> None:
    module = photos_of(folder, batch_size=1)
    assert module.num_photos == 11
    seen = numbers_in(torch.cat(training_batches(module, 33)))
    epochs = [seen[:11], seen[11:22], seen[22:]]
    assert all(len(set(epoch)) == 11 for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_crops_take_turns_until_each_has_come_often_enough(folder: Path) -> None:
    module = photos_of(folder, batch_size=10, visits=3)  # three steps of ten are 31 photos at most
    batches = [module.on_after_batch_transfer(batch, 0) for batch in itertools.islice(batches_of(module), 18)]
    once = training_batches(photos_of(folder, batch_size=10), 6)
    for step, batch in enumerate(batches):
        expected = once[step // 9 * 3 + step % 3]
        assert torch.equal(batch.photos * 255, expected.float())
    assert len({batch.draws for batch in batches}) == 6
    assert all(len(batch.draws) == 10 for batch in batches)


@pytest.mark.parametrize("num_styles", [2, 3, 8, 12])
def test_a_crop_that_comes_again_meets_other_styles(num_styles: int) -> None:
    met: dict[int, set[int]] = {}
    for step in range(TOGETHER * num_styles):
        met.setdefault(visited(step, num_styles, 1), set()).add(step % num_styles)
    assert len(met) == TOGETHER and all(len(styles) == num_styles for styles in met.values())


def test_crops_differ_in_place_zoom_and_direction(folder: Path) -> None:
    photos = torch.cat(training_batches(photos_of(folder, batch_size=8, crop_size=lambda step: 32), 20)).float()
    slope = (photos[:, 0, :, -1] - photos[:, 0, :, 0]).mean(dim=1)  # of the ramp in red, per crop
    assert 0.3 < float((slope > 0).float().mean()) < 0.7
    shown = slope.abs() / 255 * 70 * 32 / 31  # pixels of the photo's 70 across a crop
    assert 1.1 < float(shown.max() / shown.min()) < 1.35
    assert float(photos[:, 0].mean(dim=(1, 2)).std()) > 10


def test_the_crop_size_is_asked_step_by_step_in_the_main_process(folder: Path) -> None:
    asked: list[tuple[int, int]] = []

    def crop_size(step: int) -> int:
        asked.append((step, os.getpid()))
        return 8 if step < 6 else 12

    sizes = [
        batch.shape[-1] for batch in training_batches(photos_of(folder, crop_size=crop_size, workers=1), 4, start=4)
    ]
    assert sizes == [8, 8, 12, 12]
    assert asked[:4] == [(step, os.getpid()) for step in range(4, 8)]


def test_a_margin_is_more_of_the_photo_and_beyond_its_end_the_photo_mirrored(tmp_path: Path) -> None:
    for number in range(4):
        Image.linear_gradient("L").resize((96, 80)).save(tmp_path / f"{number}.png")  # from top to bottom
    steps = torch.cat(training_batches(photos_of(tmp_path, crop_size=lambda _: 40, margin=8), 4)).int().diff(dim=2)
    assert steps.min() >= 0 and steps.float().mean() > 1  # it fits with its margin: nothing is mirrored
    for number in range(4):
        Image.effect_noise((60, 40), 60).save(tmp_path / f"{number}.png")
    crop = training_batches(photos_of(tmp_path, batch_size=1, crop_size=lambda _: 40, margin=12), 1)[0][0].int()
    assert crop.shape == (3, 64, 64)  # as high as the photo: both ends lie in it
    assert (crop[:, :12] - crop[:, 13:25].flip(1)).abs().max() <= 1
    assert (crop[:, -12:] - crop[:, -25:-13].flip(1)).abs().max() <= 1


def test_a_margin_leaves_photos_as_sharp_as_they_are(tmp_path: Path) -> None:
    for number in range(2):
        Image.effect_noise((64, 64), 60).save(tmp_path / f"{number}.png")
    photos = (photos_of(tmp_path, crop_size=lambda _: 48, margin=margin) for margin in (0, 40))
    detail = [torch.cat(training_batches(each, 4)).float().diff().abs().mean().item() for each in photos]
    assert detail[1] > 0.9 * detail[0]


def test_a_photo_smaller_than_the_crop_is_enlarged(tmp_path: Path) -> None:
    for number in range(3):
        save_photo(tmp_path / f"{number}.png", number * 10, size=(9, 6))
    batch = training_batches(photos_of(tmp_path, crop_size=lambda step: 40), 1)[0]
    assert batch.shape == (4, 3, 40, 40)
    assert set(numbers_in(batch)) <= {0, 1, 2}


def test_a_large_photo_is_brought_near_the_crop_and_not_cut_from_full_size(tmp_path: Path) -> None:
    for number in range(2):
        Image.linear_gradient("L").resize((1200, 800)).save(tmp_path / f"{number}.png")
    photos = torch.cat(training_batches(photos_of(tmp_path), 10)).float()
    shown = (photos[:, :, -1] - photos[:, :, 0]).abs().mean(dim=(1, 2)) / 255
    assert float(shown.min()) > 0.7  # a crop shows most of the photo's height: its short side became 1.25 crops


def test_workers_need_no_shared_memory_and_no_folder_that_a_kill_would_leave(
    folder: Path, tmp_path, monkeypatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    batches = iter(photos_of(folder, workers=1).train_dataloader())
    for _ in range(5):
        photos = next(batches).photos
        assert isinstance(photos, np.ndarray)
        assert list(temporary.iterdir()) == []  # a tensor's worker has a socket there, in a folder `pymp-...`


def test_workers_leave_an_interrupt_to_the_main_process(folder: Path) -> None:
    expected = training_batches(photos_of(folder), 12)
    batches = iter(photos_of(folder, workers=2).train_dataloader())
    first = [torch.as_tensor(next(batches).photos) for _ in range(2)]  # both workers are up
    for worker in batches._workers:  # type: ignore[attr-defined]
        assert os.getpgid(worker.pid) != os.getpgid(0)  # so that a group's SIGTERM does not reach it either
        os.kill(worker.pid, signal.SIGINT)
    rest = [torch.as_tensor(next(batches).photos) for _ in range(10)]
    assert torch.equal(torch.stack(first + rest), torch.stack(expected))


@pytest.mark.long
def test_workers_can_be_terminated_though_the_main_process_handles_the_signal(folder: Path) -> None:
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        batches = iter(photos_of(folder, workers=1).train_dataloader())
        next(batches)
        (worker,) = batches._workers  # type: ignore[attr-defined]
        with pytest.raises(RuntimeError, match="DataLoader worker"):  # torch's own message
            worker.terminate()
            worker.join(10)
            list(itertools.islice(batches, 5))
    finally:
        signal.signal(signal.SIGTERM, before)


def test_held_out_photos_are_never_trained_on_and_do_not_depend_on_the_seed(folder: Path) -> None:
    modules = [photos_of(folder, seed=seed) for seed in range(3)]
    assert len({module.held_out_names for module in modules}) == 1
    (name,) = modules[0].held_out_names
    held_out = int(Path(name).stem)
    for module in modules:
        assert held_out not in numbers_in(torch.cat(training_batches(module, 6)))


@pytest.mark.parametrize(("count", "expected"), [(2, 1), (12, 1), (120, 2), (2000, 32)])
def test_two_percent_are_held_out_but_one_at_least_and_32_at_most(count: int, expected: int) -> None:
    row = {"image": {"bytes": write.encode_photo(np.zeros((4, 4, 3), dtype=np.uint8)), "path": None}}
    photos = data.Photos([f"{number}.jpg" for number in range(count)], [row] * count)
    held_out = data._hold_out(photos, 4, "photos")
    assert len(held_out) == expected
    assert list(held_out) == list(data._hold_out(photos, 4, "photos"))


def test_the_sample_photos_hold_out_exactly_the_astronaut() -> None:
    module = photos_of(None)
    assert module.held_out_names == ("astronaut.png",)
    assert module.num_photos == len(photos.sample_photos()) - 1
    assert "wants a folder of photos" in module.notice
    assert module.describe().items() >= {"source": "sample photos", "photos": 10, "held_out": 1}.items()


def test_no_photo_called_astronaut_is_trained_on(folder: Path) -> None:
    for place in ("a", "b", "c"):
        save_photo(folder / place / "Astronaut.png", 250)
    module = photos_of(folder)
    assert module.num_photos == 12
    assert 25 not in numbers_in(torch.cat(training_batches(module, 9)))


def test_validation_gives_whole_centred_photos_in_a_fixed_order(folder: Path) -> None:
    module = photos_of(folder)
    (batch,) = list(module.val_dataloader())
    (name,) = module.held_out_names
    assert (batch.photos.shape, batch.photos.dtype, batch.skipped) == ((1, 3, 24, 24), torch.uint8, ())
    assert numbers_in(batch.photos) == [int(Path(name).stem)]
    ramp = batch.photos[0, 0].float().mean(dim=0)  # 50 of 70 columns around the middle of 0..255
    assert float(ramp[0]) == pytest.approx(255 * 11 / 70, abs=4)
    assert float(ramp[-1]) == pytest.approx(255 * 59 / 70, abs=4)
    (again,) = list(photos_of(folder, seed=5).val_dataloader())
    assert torch.equal(batch.photos, again.photos)


def test_validation_batches_hold_up_to_four(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "HELD_OUT_SHARE", 0.5)
    assert [len(batch.photos) for batch in photos_of(folder).val_dataloader()] == [4, 2]


def add_odd_files(folder: Path) -> None:
    grey = np.linspace(0, 65535, 70 * 50).reshape(50, 70).astype(np.uint16)
    Image.fromarray(grey).save(folder / "deep.png")
    Image.new("CMYK", (70, 50), (0, 204, 255, 0)).save(folder / "print.jpg")
    Image.new("RGBA", (70, 50), (9, 9, 9, 0)).save(folder / "clear.png")
    Image.new("L", (70, 50), 99).save(folder / "grey.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (70, 50), "red").save(folder / "turned.jpg", exif=exif)


def add_broken_files(folder: Path) -> set[str]:
    whole = save_photo(folder / "whole.jpg", 200).read_bytes()
    (folder / "whole.jpg").unlink()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("not an image")
    return {"cut.jpg", "text.png"}


def test_odd_files_are_photos_like_others_and_broken_ones_are_skipped_and_named(folder: Path) -> None:
    add_odd_files(folder)
    broken = add_broken_files(folder)
    module = photos_of(folder)
    batches = list(itertools.islice(batches_of(module), 2 * module.num_photos // 4))
    assert all(batch.photos.shape == (4, 3, 16, 16) for batch in batches)
    skipped = [name for batch in batches for name in batch.skipped]
    assert set(skipped) == broken


def test_the_photo_in_place_of_a_broken_one_is_always_the_same(folder: Path) -> None:
    add_broken_files(folder)
    runs = [list(itertools.islice(batches_of(photos_of(folder, workers=w)), 8)) for w in (0, 2)]
    for first, second in zip(*runs, strict=True):
        assert torch.equal(first.photos, second.photos)
        assert first.skipped == second.skipped
    assert any(batch.skipped for batch in runs[0])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_source_without_readable_training_photos_ends_with_one_line(tmp_path: Path, workers: int) -> None:
    save_photo(tmp_path / "good/good.png", 1)
    for number in range(5):
        (tmp_path / f"good/{number}.jpg").write_text("not an image")
    loader = photos_of(tmp_path / "good", workers=workers).train_dataloader()
    with pytest.raises(DataError) as caught:
        next(iter(loader))
    assert str(caught.value).startswith("good: 5 photos in a row are unreadable, the first is ")
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec:FutureWarning")
@pytest.mark.long
def test_lightning_trains_and_validates_on_the_batches(folder: Path) -> None:
    seen: list[Tensor] = []

    class Probe(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.brightness = torch.nn.Parameter(torch.zeros(1))

        def training_step(self, batch: PhotoBatch, batch_idx: int) -> Tensor:
            seen.append(batch.photos)
            return (self.brightness - batch.photos.mean()).square().sum()

        def validation_step(self, batch: PhotoBatch, batch_idx: int) -> None:
            assert batch.photos.dtype == torch.float32 and batch.photos.shape == (1, 3, 24, 24)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(accelerator="cpu", max_steps=3, val_check_interval=2, enable_model_summary=False, **quiet)  # type: ignore[arg-type]
    trainer.fit(Probe(), datamodule=photos_of(folder))
    expected = torch.cat(training_batches(photos_of(folder), 3))
    assert_close(torch.cat(seen), from_levels(expected), atol=0, rtol=0)
