"""Devices: which precision is the faster one."""

import pytest
import torch

from fastnst.base import devices
from fastnst.base.devices import convolution_seconds, has_bfloat16_units, multiplies_bfloat16

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("known", "seconds", "answer"),
    [
        ({"avx512_bf16": True}, 0.5, True),
        ({"avx512_bf16": True, "amx_bf16": False}, 0.95, False),  # the instruction is there, and slow
        ({"avx512_bf16": False, "amx_bf16": True}, 0.5, True),
        ({"avx512_bf16": False}, 0.5, False),  # emulated
    ],
)
def test_bfloat16_is_taken_where_it_is_faster_and_not_emulated(monkeypatch, known, seconds, answer) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    monkeypatch.setattr(devices, "convolution_seconds", {torch.bfloat16: seconds, torch.float32: 1.0}.get)
    assert multiplies_bfloat16.__wrapped__(CPU) == answer


@pytest.mark.parametrize(
    ("known", "answer"),
    [
        ({"amx_bf16": True}, True),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": True, "amx_bf16": False}, True),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": False}, False),
        ({"cpu_name": "Intel(R) Xeon(R)", "avx512_bf16": True, "amx_bf16": False}, False),  # where it is slow
        ({}, False),
    ],
)
def test_photos_are_painted_in_bfloat16_where_it_is_known_to_be_fast(monkeypatch, known, answer) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert has_bfloat16_units(CPU) == answer
    assert not has_bfloat16_units(torch.device("meta"))


def test_both_precisions_can_be_timed_and_the_answer_is_kept() -> None:
    threads = torch.get_num_threads()
    assert 0 < convolution_seconds(torch.float32) < 60 and 0 < convolution_seconds(torch.bfloat16) < 60
    assert multiplies_bfloat16(CPU) == multiplies_bfloat16(CPU)
    assert multiplies_bfloat16.cache_info().currsize >= 1
    assert torch.get_num_threads() == threads
