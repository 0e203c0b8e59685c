"""CUDA graphs of training steps, on a GPU."""

import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures.recorded_runs import FLOAT32, NAMES, RUNS, middle_of, run
from fixtures.tiny_gans import make_batch
from omegaconf import DictConfig
from test_train import assert_equal

from t2f.cli.train import train
from t2f.training.base import GANModule
from t2f.training.batches.batch import Batch
from t2f.training.step_graphs import CUDAGraphs, StepGraphs, tensors_of
from t2f.training.step_plan import StepPlan

pytestmark = pytest.mark.gpu
Tiny = Callable[..., DictConfig]
ON_GPU = ["trainer.accelerator=gpu", "performance.tf32=false"]


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    torch.backends.cudnn.deterministic = True
    yield
    torch.backends.cudnn.deterministic = False


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[StepGraphs]:
    """The recorded steps of each training of a test."""
    recorded: list[StepGraphs] = []
    on_train_start = GANModule.on_train_start

    def note(model: GANModule) -> None:
        on_train_start(model)
        recorded.extend([model.graphs] if model.graphs else [])

    monkeypatch.setattr(GANModule, "on_train_start", note)
    return recorded


@pytest.mark.parametrize("name", NAMES)
def test_every_model_is_recorded_and_trains(tiny: Tiny, tmp_path: Path, name: str, made: list[StepGraphs]) -> None:
    end = run(tiny, tmp_path / "run", name, *ON_GPU, "performance.cuda_graphs=true")
    assert all(value.isfinite().all() for value in end["state_dict"].values())
    assert made[0].replays > 3


def test_recorded_steps_equal_eager_ones_up_to_rounding(tiny: Tiny, tmp_path: Path) -> None:
    ends = [
        run(tiny, tmp_path / str(graphs), *FLOAT32, *ON_GPU, f"performance.cuda_graphs={graphs}")
        for graphs in (False, True)
    ]
    assert ends[0]["global_step"] == ends[1]["global_step"]
    torch.testing.assert_close(ends[1]["state_dict"], ends[0]["state_dict"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["growing", "dcgan"])
def test_a_resumed_run_equals_an_undisturbed_one_to_the_bit(tiny: Tiny, tmp_path: Path, name: str) -> None:
    """With attributes: cuDNN's LSTM is not deterministic."""
    settings = [*ON_GPU, "conditioning=attributes", "model.objectives.mismatched.weight=0.5"]
    whole = run(tiny, tmp_path / "whole", name, *settings)
    middle = tmp_path / f"whole/checkpoints/{middle_of(name):09d}.ckpt"
    resumed = run(tiny, tmp_path / "resumed", name, *settings, f"ckpt_path={middle}")
    assert_equal(whole["state_dict"], resumed["state_dict"])
    assert_equal(whole["optimizer_states"], resumed["optimizer_states"])


@pytest.mark.parametrize("name", NAMES)
def test_a_replay_does_not_wait_for_the_gpu(tiny: Tiny, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    training_step, replays = GANModule.training_step, list[int]()

    def watched(model: GANModule, batch: Batch, batch_idx: int) -> None:
        graphs = model.graphs
        assert graphs is not None
        recorded = bool(graphs.recordings) and None not in graphs.recordings.values() and not is_new(model)
        torch.cuda.set_sync_debug_mode("error" if recorded else "default")
        try:
            training_step(model, batch, batch_idx)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        replays.append(graphs.replays)

    monkeypatch.setattr(GANModule, "training_step", watched)
    train(tiny(*ON_GPU, base=RUNS[name]))
    assert replays[-1] > 3


def is_new(model: GANModule) -> bool:
    """Return whether the next step is of a kind that is not recorded yet."""
    assert model.graphs is not None
    plan: Any = model.plan(model.images_seen // model.schedule_state.batch_size)
    kinds = {(kind.resolution, kind.alpha, kind.due, kind.trains_generator) for kind in model.graphs.recordings}
    return (plan.resolution, float(plan.alpha >= 1), plan.due, plan.trains_generator) not in kinds


def test_a_finished_stage_frees_its_memory() -> None:
    device = torch.device("cuda")
    weight = torch.nn.Parameter(torch.zeros(2**20, device=device))
    graphs = StepGraphs(CUDAGraphs(device), [weight], device)
    batch: Any = {name: values.to(device) for name, values in tensors_of(make_batch()).items()}

    def step(batch: Batch, plan: StepPlan) -> tuple[str, ...]:
        (torch.ones(2**26, device=device).cumsum(0).mean() * weight).sum().backward()  # 256 MiB and more
        return ()

    reserved, recordings = [], []
    for resolution in (4, 8, 16, 32):
        plan = StepPlan(resolution, 1.0, frozenset(), True, 0.0)
        for _ in range(3):
            graphs.take(step, batch, plan)
        recordings.append(weakref.ref(graphs.recordings[plan]))  # type: ignore[arg-type]
        gc.collect()
        torch.cuda.empty_cache()
        reserved.append(torch.cuda.memory_reserved())
    assert [recording() is None for recording in recordings] == [True, True, True, False]
    assert max(reserved) < 1.5 * reserved[0]
