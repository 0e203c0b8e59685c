"""The configs of conf/debug."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY, TINY_MULTISCALE
from omegaconf import DictConfig
from test_train import rows

from t2f.cli.train import train
from t2f.training.batches.sampler import ImagesSeenSampler

Tiny = Callable[..., DictConfig]
OVERRIDDEN = ("growth.images", "callbacks.", "evaluation=", "~callbacks.")
"""Settings that the debug configs must make small by themselves."""
FEATURES = ["features._target_=fixtures.toy.TinyFeatures", "~features.resolution", "logger=csv"]
BASES = {
    "t2f": [*TINY, "model=t2f"],
    "multiscale": TINY_MULTISCALE,
}


def base(model: str, debug: str) -> list[str]:
    return [f"debug={debug}", *FEATURES, *(each for each in BASES[model] if not each.startswith(OVERRIDDEN))]


@pytest.mark.parametrize(("model", "stages"), [("t2f", 2), ("multiscale", 1)])
def test_steps_runs_every_callback_in_64_images_per_stage(tiny: Tiny, tmp_path: Path, model: str, stages: int) -> None:
    cfg = tiny(base=base(model, "steps"))
    assert cfg.name == "debug"
    assert train(cfg) == {"images_seen": 64 * stages, "images_planned": 64 * stages}
    run = tmp_path / "run"
    assert {path.name for path in (run / "checkpoints").iterdir()} >= {"last.ckpt", "best.ckpt", "8px.ckpt"}
    assert (run / "growth.gif").exists()
    assert any(row["quality/kernel_distance_tiny"] for row in rows(run))
    assert not (run / "evaluation.json").exists()


@pytest.mark.parametrize("model", BASES)
def test_overfit_repeats_the_first_batch(
    tiny: Tiny, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = []
    batch_at = ImagesSeenSampler.batch_at

    def record(sampler: ImagesSeenSampler, seen: int, batch_size: int) -> object:
        batches.append(batch_at(sampler, seen, batch_size))
        return batches[-1]

    monkeypatch.setattr(ImagesSeenSampler, "batch_at", record)
    train(tiny("growth.images=24", base=base(model, "overfit")))
    assert len(batches) == (6 if model == "t2f" else 3)
    assert {tuple(batch.faces) for batch in batches} == {tuple(batches[0].faces)}
    assert not (tmp_path / "run/checkpoints/best.ckpt").exists()


@pytest.mark.parametrize("model", BASES)
def test_profiler_writes_its_table_and_its_path(
    tiny: Tiny, tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tiny("growth.images=16", base=base(model, "profiler")))
    table = tmp_path / "run/fit-profile.txt"
    assert "run_training_batch" in table.read_text()
    assert f"profile        {table}" in capsys.readouterr().out
