import errno
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY
from omegaconf import DictConfig, OmegaConf

from t2f.cli.train import train
from t2f.inference.pipeline import Pipeline
from t2f.training.resume import SafeCheckpointIO
from t2f.utils.checkpoints import read_checkpoint
from t2f.utils.errors import UserError


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last checkpoint of a finished tiny run."""
    from conftest import ROOT
    from hydra import compose, initialize_config_dir

    runs = tmp_path_factory.mktemp("runs")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides=[*TINY, f"paths.run={runs}"])
    train(cfg)
    return runs / "checkpoints/last.ckpt"


def test_the_pipeline_of_a_checkpoint_uses_the_averaged_weights(checkpoint: Path) -> None:
    pipeline = Pipeline.load(checkpoint)
    assert pipeline.resolution == 8
    assert pipeline.alpha == 1.0
    weights = read_checkpoint(checkpoint)["state_dict"]
    for name, value in pipeline.networks.state_dict().items():
        assert torch.equal(value, weights[f"ema.{name}"])
    noise = torch.randn(3, pipeline.networks.noise_dim)
    captions = ["a man", "a smiling woman with red hair", "glasses"]
    images = pipeline.generate_from_text(captions, noise)
    assert images.shape == (3, 3, 8, 8)
    one_by_one = torch.cat(
        [pipeline.generate_from_text([caption], z[None]) for caption, z in zip(captions, noise, strict=True)]
    )
    torch.testing.assert_close(images, one_by_one)


def test_missing_truncated_and_foreign_files_raise_user_errors(checkpoint: Path, tmp_path: Path) -> None:
    content = checkpoint.read_bytes()
    (tmp_path / "half.ckpt").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.ckpt").write_bytes(b"")
    (tmp_path / "text.ckpt").write_text("not a checkpoint")
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    for name, message in (
        ("missing.ckpt", "There is no file or folder"),
        ("half.ckpt", "not a complete checkpoint"),
        ("empty.ckpt", "not a complete checkpoint"),
        ("text.ckpt", "not a complete checkpoint"),
        ("foreign.ckpt", "t2f did not write it"),
    ):
        with pytest.raises(UserError, match=message) as error:
            Pipeline.load(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)


class MaliciousPickle:
    """An object whose unpickling writes a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (self.path, "w")


def test_pickled_code_is_not_executed(tmp_path: Path) -> None:
    executed = tmp_path / "executed"
    torch.save({"t2f": MaliciousPickle(str(executed))}, tmp_path / "malicious.ckpt")
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(MaliciousPickle(str(executed))))
    for name in ("malicious.ckpt", "plain.ckpt"):
        with pytest.raises(UserError, match="not a complete checkpoint"):
            Pipeline.load(tmp_path / name)
    assert not executed.exists()


TARGETS = [
    "os.system",
    "builtins.eval",
    "torch.nn.Linear",
    "t2f.utils.checkpoints.os.system",
    "t2f.utils.errors.require",
]


@pytest.mark.parametrize("target", TARGETS)
def test_a_config_in_a_checkpoint_cannot_call_other_targets(checkpoint: Path, tmp_path: Path, target: str) -> None:
    content = read_checkpoint(checkpoint)
    config = OmegaConf.create(content["t2f"]["config"])
    assert isinstance(config, DictConfig)
    config.model.networks.encoder = {"_target_": target, "_args_": [f"touch {tmp_path}/executed"]}
    content["t2f"]["config"] = OmegaConf.to_yaml(config)
    torch.save(content, tmp_path / "malicious.ckpt")
    with pytest.raises(UserError, match=r"which is not part of t2f|contains a model that .* cannot build"):
        Pipeline.load(tmp_path / "malicious.ckpt")
    assert not (tmp_path / "executed").exists()


def test_a_config_in_a_checkpoint_cannot_hide_a_target_in_an_interpolation(checkpoint: Path, tmp_path: Path) -> None:
    content = read_checkpoint(checkpoint)
    config = OmegaConf.create(content["t2f"]["config"])
    assert isinstance(config, DictConfig)
    config.malicious = {"_target_": "os.system", "_args_": [f"touch {tmp_path}/executed"]}
    config.model.networks.encoder = "${malicious}"
    content["t2f"]["config"] = OmegaConf.to_yaml(config)
    torch.save(content, tmp_path / "malicious.ckpt")
    with pytest.raises(UserError, match=r"contains a model that .* cannot build"):  # the interpolation stays a text
        Pipeline.load(tmp_path / "malicious.ckpt")
    assert not (tmp_path / "executed").exists()


def test_a_failed_write_keeps_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Callable[..., DictConfig]
) -> None:
    path = tmp_path / "last.ckpt"
    SafeCheckpointIO().save_checkpoint({"t2f": 1}, path)

    def full_disk(content: Any, file: Any) -> None:
        file.write(b"the beginning of")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(UserError, match=r"disk is full.*last\.ckpt"):
        SafeCheckpointIO().save_checkpoint({"t2f": 2}, path)
    assert read_checkpoint(path) == {"t2f": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
