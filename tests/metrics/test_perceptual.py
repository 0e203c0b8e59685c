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
from t2f.metrics.features import BLOCK, Features
from t2f.metrics.perceptual import SIZE, PerceptualDiversity
from t2f.utils.errors import UserError

ALEXNET = torchvision.models.AlexNet_Weights.DEFAULT.url.rpartition("/")[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PerceptualDiversity]:
    """With random weights where torchvision would put its own; the classifier's, which LPIPS leaves out, are all 0."""
    home = tmp_path_factory.mktemp("torch")
    with torch.random.fork_rng(), torch.device("meta"):
        shapes = torchvision.models.alexnet().state_dict()
    chance = torch.Generator().manual_seed(0)
    weights = {
        name: torch.randn(value.shape, generator=chance) / max(1, value[0].numel()) ** 0.5
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
def make(made: PerceptualDiversity) -> Make:
    """The metric with other settings; the network, which takes long to make, is shared."""

    def make(**settings: Any) -> PerceptualDiversity:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                perceptual, "LearnedPerceptualImagePatchSimilarity", lambda _: SimpleNamespace(net=made.network)
            )
            return PerceptualDiversity(**settings)

    return make


class Apart(nn.Module):
    """Mean absolute difference of images, which has a closed form."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean(dim=(1, 2, 3), keepdim=True)


def drawn(seed: int, count: int, size: int = 16) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, 3, size, size), dtype=np.uint8))


def given(metric: PerceptualDiversity, *parts: Tensor, real: bool = False) -> PerceptualDiversity:
    for images in parts:
        metric.update(Features(images, torch.empty(len(images), 0), torch.empty(len(images), 0)), real=real)
    return metric


def enlarged(images: Tensor) -> Tensor:
    return F.interpolate(images / 127.5 - 1, size=(SIZE, SIZE), mode="bilinear", antialias=True).clamp(-1, 1)


def test_of_two_faces_is_lpips_of_the_pair(make: Make) -> None:
    images = drawn(0, 2)
    expected = learned_perceptual_image_patch_similarity(*enlarged(images)[:, None], "alex")
    assert expected > 1e-4
    for pairs in (1, BLOCK + 1):
        assert float(given(make(pairs=pairs), images).compute()) == pytest.approx(float(expected), rel=1e-5)


def test_is_the_mean_of_pairs_of_different_faces(make: Make) -> None:
    """Of three faces each pair comes about as often: white and black are 2 apart, each of them 1 from grey."""
    metric = make(pairs=600)
    metric.network = Apart()
    levels = torch.tensor([0, 255, 128], dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4)
    # The standard deviation of such a mean is 0.02.
    assert float(given(metric, levels).compute()) == pytest.approx((2 + 1 + 1) / 3, abs=0.08)


def test_faces_that_are_all_the_same_have_no_variety(make: Make) -> None:
    assert given(make(pairs=3), drawn(0, 1).expand(5, -1, -1, -1)).compute() == 0


def test_follows_torchmetrics(make: Make) -> None:
    images = drawn(0, 6)
    whole = given(make(pairs=4), images).compute()
    assert whole.dtype == torch.float64
    metric = given(make(pairs=4), images[:2], images[2:])
    given(metric, drawn(1, 4), real=True)
    assert metric.compute() == whole
    merged = given(make(pairs=4), images[2:])
    merged.merge_state(given(make(pairs=4), images[:2]))
    assert merged.compute() == whole
    metric.reset()
    assert given(metric, drawn(1, 6)).compute() != whole
    shared = make(
        pairs=4,
        dist_sync_fn=lambda mine, group=None: [mine, images[2:]],
        distributed_available_fn=lambda: True,
    )
    assert given(shared, images[:2]).compute() == whole


def test_is_repeated_to_the_last_bit_and_leaves_the_global_random_state_alone(make: Make) -> None:
    state = torch.get_rng_state()
    one, again, other = (given(make(pairs=4, seed=seed), drawn(0, 9)).compute() for seed in (0, 0, 1))
    assert one == again != other
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_faces_are_told(make: Make, count: int) -> None:
    with pytest.raises(UserError, match=rf"^2 drawn faces or more are needed, but there are {count}\.$"):
        given(make(), drawn(0, count)).compute()


def test_no_pairs_are_told() -> None:
    with pytest.raises(UserError, match=r"^PerceptualVariety's pairs is 0: it must be at least 1\.$"):
        PerceptualDiversity(pairs=0)


def test_without_a_network_the_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    with pytest.raises(
        UserError, match=rf"^The weights of LPIPS's alex .*name resolution.* {tmp_path}/hub/checkpoints"
    ):
        PerceptualDiversity()


@pytest.mark.parametrize("content", [b"", b"half a file"])
def test_a_damaged_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub/checkpoints" / ALEXNET
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=rf"^The weights of LPIPS's alex .*{path.parent}.* metrics=default\.$"
    ) as caught:
        PerceptualDiversity()
    assert "\n" not in str(caught.value)
