from pathlib import Path

import pytest
import torch

from t2f.training.resolvers import fast_precision, resolve_precision, run_folder


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bf16-mixed"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bf16-mixed"),
        ({"avx512_bf16": False, "amx_bf16": False}, "32-true"),
        ({}, "32-true"),
    ],
)
def test_auto_is_bf16_on_cpus_that_support_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], precision: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert fast_precision("cpu") == precision


@pytest.mark.parametrize(("capability", "precision"), [((7, 5), "32-true"), ((8, 0), "bf16-mixed")])
def test_auto_is_bf16_on_gpus_from_ampere_on(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], precision: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert fast_precision("auto") == precision
    assert fast_precision("gpu") == precision


def test_only_auto_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    assert resolve_precision("auto", "cpu") == "bf16-mixed"
    assert resolve_precision("32-true", "cpu") == "32-true"
    assert resolve_precision(16, "cpu") == 16


def test_each_run_has_its_own_folder(tmp_path: Path) -> None:
    assert run_folder(str(tmp_path), "t2f", False) != run_folder(str(tmp_path), "t2f", False)
