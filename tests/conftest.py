import t2f  # noqa: F401  # before all that imports torch, since it configures torch's threads

# isort: split
import os
import runpy
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from fixtures.cuda_autocast import cuda_autocast
from fixtures.demo_server import Server, run_demo
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from t2f.training.resolvers import quiet_libraries, register_resolvers
from t2f.utils.signals import SIGNALS

ROOT = Path(__file__).parent.parent
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in background jobs of a shell
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as under nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
HANDLERS = {number: signal.getsignal(number) for number in SIGNALS}
# Avatars of 8 pixels; every callback acts several times per run.
TINY_DATA = [
    "resolution=8",
    "data.count=40",
    "data.held_out=8",
    "callbacks.metrics.every=16",
    "callbacks.sample_grids.every=32",
    "callbacks.sample_grids.frames=1",
    "callbacks.checkpoints.every=20",
    "logger=csv",
    "evaluation=none",
    "~callbacks.validation",
]
TINY_LSTM = ["text.encoder.word_dim=8", "text.encoder.hidden_dim=16"]
TINY_NETWORKS = [
    "model.networks.generator.channels=[16,16]",
    "model.networks.generator.latent_dim=24",
    "model.networks.conditioning.dim=8",
]
# From 4 to 8 pixels in 96 images, with fade-in from 48 to 72: all phases of a run in about a second.
TINY = [
    *TINY_DATA,
    *TINY_LSTM,
    *TINY_NETWORKS,
    "growth.resolutions=[4,8]",
    "growth.images=[48,48]",
    "growth.fade_in=[0,0.5]",
    "growth.batch_sizes=[8,8]",
]
# One stage of 48 images, for models that do not grow.
ONE_STAGE = ["growth.images=[48]", "growth.batch_sizes=[8]"]
TINY_DCGAN = [
    *TINY_DATA,
    *TINY_LSTM,
    *ONE_STAGE,
    "model=dcgan",
    "model.networks.generator.noise_dim=8",
    "model.networks.generator.width=16",
    "model.discriminator.width=16",
]
TINY_MULTISCALE = [*TINY_DATA, *TINY_LSTM, *TINY_NETWORKS, *ONE_STAGE, "model=multiscale"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked gpu if there is no GPU."""
    no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(no_gpu)


@pytest.fixture(params=["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def accelerator(request: pytest.FixtureRequest) -> Iterator[str]:
    """An accelerator whose autocast follows CUDA's rules: a CPU that emulates them, or a GPU."""
    with cuda_autocast() if request.param == "cpu" else nullcontext():
        yield request.param


@pytest.fixture(autouse=True)
def reset_signal_handlers() -> None:
    """Restore the initial signal handlers, since commands in this process replace them."""
    for number, handler in HANDLERS.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of all tests, also in processes that they start."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["T2F_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def quiet() -> None:
    quiet_libraries()
    register_resolvers()
    torch.set_num_threads(1)  # tests run in parallel


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The checkpoint of a tiny run."""
    from t2f.cli.train import train

    runs = tmp_path_factory.mktemp("runs")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        train(compose("train", overrides=[*TINY, f"paths.run={runs}"]))
    return str(runs / "checkpoints/last.ckpt")


@pytest.fixture(scope="module")
def server(model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The demo page of a tiny model."""
    pytest.importorskip("gradio", reason="gradio is missing: pip install -e '.[demo]'")
    with run_demo(model, tmp_path_factory.mktemp("gradio")) as server:
        yield server


@pytest.fixture(autouse=True)
def reset_hydra_config() -> Iterator[None]:
    """Clear Hydra's config of the last job in this process."""
    yield
    HydraConfig.instance().cfg = None


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., DictConfig]:
    """Compose the config of a tiny run in the test's folder, with further overrides."""

    def compose_tiny(*overrides: str, base: list[str] = TINY) -> DictConfig:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            run = [f"paths.runs={tmp_path}", f"paths.run={tmp_path}/run"]
            cfg = compose("train", overrides=[*run, *base, *overrides])
        Path(cfg.paths.run).mkdir(parents=True, exist_ok=True)
        return cfg

    return compose_tiny


def sweep(folder: Path, *overrides: str) -> int:
    """Run a tiny sweep with `python train.py -m` in this process, and return the exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py", "-m", *TINY, f"paths.runs={folder}", *overrides])
        patch.setenv("COLUMNS", "200")
        try:
            runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
        except SystemExit as ended:
            return int(ended.code or 0)
    return 0
