"""The benchmarks of experiments/speed, at a tiny size. T2F's engine need not be installed."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from conftest import ROOT
from fixtures.tape import recorded_steps

from t2f.utils.errors import UserError

CPU = torch.device("cpu")
TINY = ["model.networks.generator.channels=[16,16]", "model.networks.generator.latent_dim=192", "resolution=8"]


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script of the study, as a module."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    names = ("measure", "settings", "report", "clocks", "sides", "plain_dcgan", "graphs", "whole", "study")
    monkeypatch.syspath_prepend(str(ROOT / "experiments/speed"))
    yield importlib.import_module("measure")
    for name in names:
        sys.modules.pop(name, None)


def test_sharing_forward_passes_gives_the_same_step(speed: ModuleType) -> None:
    """With SGD, the change of a weight is its gradient."""
    from sides import made_up_batch, stand_at, step_in_the_engines_passes, system_of

    adams = [f"~model.optimizers.generator.{key}" for key in ("betas", "eps", "fused")]
    descent = ["model.optimizers.generator._target_=torch.optim.SGD", "model.optimizers.generator.lr=0.1", *adams]
    torch.manual_seed(0)
    batch = made_up_batch(8, 8, 256, CPU)
    trained = []
    for shared in (True, False):
        system = system_of([*speed.RECIPE, *TINY, *descent, "model.objectives.kl.weight=0"], CPU)
        stand_at(system, 8, 8)
        before = {name: weight.clone() for name, weight in system.state_dict().items()}
        torch.manual_seed(1)
        if shared:
            system.train_on(batch, system.plan(0))
        else:
            step_in_the_engines_passes(system, batch)
        trained.append({name: weight - before[name] for name, weight in system.state_dict().items()})
    torch.testing.assert_close(*trained, rtol=1e-3, atol=1e-6)
    assert sum(bool(change.any()) for change in trained[0].values()) > 20


def test_our_step_in_the_engines_passes_has_the_flops_of_the_engine(speed: ModuleType) -> None:
    pytest.importorskip("pro_gan_pytorch", reason="T2F's engine is not installed")
    from clocks import flops_of
    from sides import FLOAT32, engine, ours, ours_in_the_engines_passes

    theirs = flops_of(engine(8, 4, CPU))
    assert flops_of(ours_in_the_engines_passes(speed.RECIPE, 8, 4, CPU, FLOAT32)) == pytest.approx(theirs, rel=0.02)
    assert flops_of(ours(speed.RECIPE, 8, 4, CPU, FLOAT32)) < 0.8 * theirs


def test_flops_of_a_convolution(speed: ModuleType) -> None:
    from clocks import flops_of

    image, weight = torch.randn(2, 3, 8, 8), torch.randn(5, 3, 3, 3)
    assert flops_of(lambda: torch.conv2d(image, weight, padding=1)) == 2 * 2 * 5 * 8 * 8 * 3 * 3 * 3


def test_a_cycle_is_as_long_as_the_interval_of_the_penalty(speed: ModuleType) -> None:
    counts = {
        "t2f_original": speed.RECIPE,
        "default": speed.EMBEDDINGS,
        "every step": [*speed.EMBEDDINGS, "loss=wgan_gp"],
    }
    found = {name: speed.cycle([*recipe, *TINY], 8, 4, CPU, "32-true")[1] for name, recipe in counts.items()}
    assert found == {"t2f_original": 1, "default": 8, "every step": 1}


def test_a_lazy_penalty_counts_once_in_8_steps(speed: ModuleType) -> None:
    due = {"seconds": 8.0, "flops": 16, "rounds": 3}
    joined = speed.join_lazy({"lazy: penalty due": due, "lazy: not due": due | {"seconds": 1.0, "flops": 8}}, batch=15)
    assert joined == {"lazy": {"seconds": 15 / 8, "flops": 9, "images a second": 8.0, "rounds": 3}}


@pytest.mark.slow
def test_the_script_measures_and_reports(speed: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "PROFILED", {"tiny": ([*speed.RECIPE, *TINY], 8)})
    monkeypatch.setattr(speed, "peak_of_device", lambda device: {"float32": 1e9, "bfloat16": 2e9})
    speed.main(["profile", "--seconds=0", "--batch=4", "--device=cpu", f"--out={tmp_path}"])
    (found,) = json.loads((tmp_path / "results.json").read_text())["profile"]["steps"].values()
    assert sum(found["kinds"].values()) == pytest.approx(1)
    assert found["kinds"]["convolution, backward"] > 0
    assert found["flops a second"] == pytest.approx(found["flops an image"] * found["images a second"])
    assert "| tiny |" in (tmp_path / "results.md").read_text()


@pytest.mark.slow
def test_recorded_steps_are_timed_beside_eager_ones(
    speed: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, but with the stand-in for CUDA graphs and without T2F's engine."""
    monkeypatch.setattr("graphs.engine", lambda *_: lambda: None)
    monkeypatch.setattr("graphs.up_to", lambda stage, channels: TINY)
    options = ["--seconds=0", "--batch=4", "--device=cpu", "--graphed=[false,true]", f"--out={tmp_path}"]
    with recorded_steps() as recorders:
        speed.main(["graphs", *options, "--stages", "4", "8"])
    assert len(recorders) == 2 * 3 and all(recorder.recorded in (1, 2) for recorder in recorders)
    stages = json.loads((tmp_path / "results.json").read_text())["graphs"]["stages"]
    recipes, ways = ("T2F's recipe", "default", "default, four times the batch"), ("eager", "one CUDA graph a step")
    names = [f"t2f, {name}, {way}" for name in recipes for way in ways]
    for stage in ("4", "8"):
        assert list(stages[stage]) == ["T2F's engine, float32", *names]
        assert all(side["images a second"] > 0 for side in stages[stage].values())
        assert all((side["seconds of recording"] > 0) == ("graph" in name) for name, side in stages[stage].items())
    assert "| t2f, default, eager | 4 |" in (tmp_path / "results.md").read_text()


@pytest.mark.slow
def test_the_whole_of_train_py_is_timed(speed: ModuleType, tmp_path: Path) -> None:
    tiny = [*TINY, "growth.resolutions=[4,8]", "growth.batch_sizes=4", "growth.fade_in=0.5", "logger=csv"]
    tiny += ["model.networks.generator.latent_dim=96", "data.count=40", "data.held_out=8"]
    speed.main(["whole", "--device=cpu", "--images=80", f"--out={tmp_path}", "--overrides", *tiny])
    (run,) = json.loads((tmp_path / "results.json").read_text())["whole"]["runs"].values()
    assert list(run["images a second"]) == ["4", "8"] and min(run["images a second"].values()) > 0
    assert list(run["pauses"]) == ["4 -> 8"]
    assert -1 < run["overhead"] < 1
    assert "The bare step reaches" in (tmp_path / "results.md").read_text()


def test_the_tests_on_a_gpu_are_summed_up(speed: ModuleType, tmp_path: Path) -> None:
    """Without a GPU they are skipped."""
    speed.main(["tests", "--device=cpu", f"--out={tmp_path}", "--tests", "tests/training/test_step_graphs_gpu.py"])
    found = json.loads((tmp_path / "results.json").read_text())["tests"]
    assert found["failed"] == [] and ("skipped" in found["summary"] or "passed" in found["summary"])
    assert "`pytest -m gpu`" in (tmp_path / "results.md").read_text()


def test_results_are_in_a_folder_named_after_the_hardware(speed: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "processor", lambda: "Intel(R) Xeon(R) Processor")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100 80GB HBM3")
    assert speed.folder_of(CPU).name == "intel_xeon_processor"
    assert speed.folder_of(torch.device("cuda")).name == "nvidia_h100_80gb_hbm3"


def test_the_plain_dcgan_has_similar_flops(speed: ModuleType) -> None:
    """It generates twice per step, and convolves the label's planes at full size."""
    from clocks import flops_of
    from plain_dcgan import plain
    from sides import FLOAT32, ours

    small = ["model.networks.generator.width=16", "model.discriminator.width=16"]
    own = flops_of(ours([*speed.FACEGAN, *small], 64, 4, CPU, FLOAT32, numbers=2))
    theirs = flops_of(plain(4, CPU, widths=(16, 16)))
    assert own < theirs < 1.5 * own


def test_without_the_engine_the_error_says_what_to_install(
    speed: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sides import engine

    monkeypatch.setitem(sys.modules, "pro_gan_pytorch.PRO_GAN", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[speed\]'"):
        engine(4, 4, CPU)
    with pytest.raises(SystemExit, match="T2F's engine is missing"):
        speed.main(["engine", "--stages=4", "--device=cpu", f"--out={tmp_path}"])
