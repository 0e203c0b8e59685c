import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchmetrics.functional.image import learned_perceptual_image_patch_similarity

from t2f.metrics import perceptual
from t2f.metrics.base import NotMeasurable
from t2f.metrics.features import BATCH_SIZE, Features
from t2f.metrics.perceptual import RESOLUTION, PerceptualDiversity
from t2f.utils.errors import UserError

ALEXNET = torchvision.models.AlexNet_Weights.DEFAULT.url.rpartition("/")[2]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PerceptualDiversity]:
    """The metric with random weights in place of torchvision's; those of the classifier, which LPIPS ignores, are 0."""
    home = tmp_path_factory.mktemp("torch")
    with torch.random.fork_rng(), torch.device("meta"):
        shapes = torchvision.models.alexnet().state_dict()
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: torch.randn(value.shape, generator=generator) / max(1, value[0].numel()) ** 0.5
        if name.startswith("features")
        else torch.zeros(1).expand(value.shape)
        for name, value in shapes.items()
    }
    (home / "hub/checkpoints").mkdir(parents=True)
    torch.save(weights, home / "hub/checkpoints" / ALEXNET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(home))
        state = torch.get_rng_state()
        metric = PerceptualDiversity()
        assert torch.equal(torch.get_rng_state(), state)
        yield metric


Make = Callable[..., PerceptualDiversity]


@pytest.fixture
def make(pretrained: PerceptualDiversity) -> Make:
    """Constructor of the metric. All instances share the network, whose construction is slow."""

    def make(**settings: Any) -> PerceptualDiversity:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                perceptual, "LearnedPerceptualImagePatchSimilarity", lambda _: SimpleNamespace(net=pretrained.network)
            )
            return PerceptualDiversity(**settings)

    return make


class AbsoluteDifference(nn.Module):
    """Mean absolute difference of images."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean(dim=(1, 2, 3), keepdim=True)


def random_images(seed: int, count: int, size: int = 16) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, 3, size, size), dtype=np.uint8))


def updated(metric: PerceptualDiversity, *parts: Tensor, real: bool = False) -> PerceptualDiversity:
    for images in parts:
        metric.update(Features(images, torch.empty(len(images), 0), torch.empty(len(images), 0)), real=real)
    return metric


def resized(images: Tensor) -> Tensor:
    return F.interpolate(images / 127.5 - 1, size=(RESOLUTION, RESOLUTION), mode="bilinear", antialias=True).clamp(
        -1, 1
    )


def test_two_images_score_their_lpips_distance(make: Make) -> None:
    images = random_images(0, 2)
    expected = learned_perceptual_image_patch_similarity(*resized(images)[:, None], "alex")
    assert expected > 1e-4
    for pairs in (1, BATCH_SIZE + 1):
        assert float(updated(make(pairs=pairs), images).compute()) == pytest.approx(float(expected), rel=1e-5)


def test_is_the_mean_over_pairs_of_different_images(make: Make) -> None:
    """Three pairs with equal probability: black and white have distance 2, each has distance 1 from gray."""
    metric = make(pairs=600)
    metric.network = AbsoluteDifference()
    levels = torch.tensor([0, 255, 128], dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4)
    # The standard deviation of the mean is 0.02.
    assert float(updated(metric, levels).compute()) == pytest.approx((2 + 1 + 1) / 3, abs=0.08)


def test_equal_images_score_zero(make: Make) -> None:
    assert updated(make(pairs=3), random_images(0, 1).expand(5, -1, -1, -1)).compute() == 0


def test_updates_merge_reset_and_synchronize(make: Make) -> None:
    images = random_images(0, 6)
    whole = updated(make(pairs=4), images).compute()
    assert whole.dtype == torch.float64
    metric = updated(make(pairs=4), images[:2], images[2:])
    updated(metric, random_images(1, 4), real=True)
    assert metric.compute() == whole
    merged = updated(make(pairs=4), images[2:])
    merged.merge_state(updated(make(pairs=4), images[:2]))
    assert merged.compute() == whole
    metric.reset()
    assert updated(metric, random_images(1, 6)).compute() != whole
    synchronized = make(
        pairs=4,
        dist_sync_fn=lambda state, group=None: [state, images[2:]],
        distributed_available_fn=lambda: True,
    )
    assert updated(synchronized, images[:2]).compute() == whole


def test_is_deterministic_and_keeps_the_global_random_state(make: Make) -> None:
    state = torch.get_rng_state()
    one, same, other = (updated(make(pairs=4, seed=seed), random_images(0, 9)).compute() for seed in (0, 0, 1))
    assert one == same != other
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_raise_an_error(make: Make, count: int) -> None:
    with pytest.raises(NotMeasurable, match=rf"^At least 2 generated images are needed, but there are {count}\.$"):
        updated(make(), random_images(0, count)).compute()


def test_no_pairs_raise_an_error() -> None:
    with pytest.raises(ValueError, match=r"^pairs must be at least 1, but is 0\.$"):
        PerceptualDiversity(pairs=0)


def test_failed_download_names_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    with pytest.raises(
        UserError, match=rf"^The weights of LPIPS's alex .*name resolution.* {tmp_path}/hub/checkpoints"
    ):
        PerceptualDiversity()


@pytest.mark.parametrize("content", [b"", b"damaged"])
def test_damaged_weights_raise_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub/checkpoints" / ALEXNET
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=rf"^The weights of LPIPS's alex .*{path.parent}.* metrics=default\.$"
    ) as caught:
        PerceptualDiversity()
    assert "\n" not in str(caught.value)
