"""Runs that are resumed after their last image."""

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig
from test_train import rows

from t2f.cli.train import train

Tiny = Callable[..., DictConfig]


def test_a_finished_run_continues_with_a_longer_schedule(tiny: Tiny, tmp_path: Path) -> None:
    train(tiny())
    figures = train(tiny("resume=true", "growth.images=[48,96]"))
    assert (figures["images_seen"], figures["images_planned"]) == (144, 144)
    assert [int(row["images_seen"]) for row in rows(tmp_path / "run")] == list(range(16, 145, 16))


def test_resuming_a_finished_run_does_nothing(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = train(tiny())
    monkeypatch.setitem(train.__globals__, "fit", None)
    capsys.readouterr()
    assert train(tiny("resume=true")) == figures
    assert "is finished (96 of 96 images): raise growth.images to train it longer." in " ".join(
        capsys.readouterr().out.split()
    )
