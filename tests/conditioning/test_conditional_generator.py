import math

import pytest
import torch
from torch import Tensor, nn

from t2f.conditioning.augmentation import ConditioningAugmentation
from t2f.conditioning.conditional_generator import ConditionalGenerator
from t2f.networks.base import Generator
from t2f.networks.multiscale import MultiScaleGenerator
from t2f.networks.progressive import ProgressiveGenerator

EMBEDDING, CONDITION, LATENT = 6, 4, 9


class MeanEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(12, EMBEDDING)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.table(tokens).mean(dim=1)


@pytest.fixture
def networks() -> ConditionalGenerator:
    torch.manual_seed(0)
    return ConditionalGenerator(
        MeanEncoder(),
        ConditioningAugmentation(EMBEDDING, CONDITION),
        ProgressiveGenerator(CONDITION, LATENT, (8, 6)),
    )


@pytest.fixture
def noise() -> Tensor:
    return torch.randn(3, LATENT, generator=torch.Generator().manual_seed(1))


def test_the_first_part_of_the_noise_samples_the_condition_and_the_rest_is_z(
    networks: ConditionalGenerator, noise: Tensor
) -> None:
    mean, deviation = [1.0, -1.0, 0.5, 2.0], [1.0, 2.0, 0.1, 0.5]
    with torch.no_grad():
        networks.conditioning.project.weight.zero_()
        networks.conditioning.project.bias.copy_(torch.tensor([*mean, *(2 * math.log(each) for each in deviation)]))
    condition = torch.tensor(mean) + torch.tensor(deviation) * noise[:, :CONDITION]
    image, moments = networks.generate(torch.randn(3, EMBEDDING), noise, 8, 0.3)
    torch.testing.assert_close(image, networks.generator(condition, noise[:, CONDITION:], 8, 0.3))
    assert moments is not None
    returned_mean, returned_log_variance = moments
    torch.testing.assert_close(returned_mean, torch.tensor([mean] * 3))
    torch.testing.assert_close(returned_log_variance, 2 * torch.tensor([deviation] * 3).log())


def test_forward_encodes_the_tokens_and_generates(networks: ConditionalGenerator, noise: Tensor) -> None:
    tokens = torch.tensor([[1, 2], [3, 4], [5, 6]])
    image = networks(tokens, noise, 8, 0.7)
    assert image.shape == (3, 3, 8, 8)
    assert torch.equal(image, networks.generate(networks.encoder(tokens), noise, 8, 0.7)[0])


def test_the_default_alpha_is_one(networks: ConditionalGenerator, noise: Tensor) -> None:
    tokens = torch.tensor([[1, 2]] * 3)
    assert torch.equal(networks(tokens, noise, 8), networks(tokens, noise, 8, 1.0))
    assert not torch.equal(networks(tokens, noise, 8), networks(tokens, noise, 8, 0.0))


def test_tokens_and_noise_both_change_the_image(networks: ConditionalGenerator, noise: Tensor) -> None:
    one, other = torch.tensor([[1, 2]] * 3), torch.tensor([[7, 8]] * 3)
    assert (networks(one, noise, 8) - networks(other, noise, 8)).abs().max() > 0.01
    assert (networks(one, noise, 8) - networks(one, -noise, 8)).abs().max() > 0.01


def test_each_image_depends_on_its_own_tokens_and_noise_only(networks: ConditionalGenerator, noise: Tensor) -> None:
    tokens = torch.tensor([[1, 2], [3, 4], [5, 6]])
    together = networks(tokens, noise, 8)
    for i in range(3):
        torch.testing.assert_close(networks(tokens[i : i + 1], noise[i : i + 1], 8), together[i : i + 1])


def test_the_gradient_of_the_image_reaches_exactly_the_input_tokens(
    networks: ConditionalGenerator, noise: Tensor
) -> None:
    networks(torch.tensor([[1, 2], [3, 4], [5, 5]]), noise, 8).square().sum().backward()
    gradient = networks.encoder.table.weight.grad
    assert gradient.abs().sum(dim=1).nonzero().flatten().tolist() == [1, 2, 3, 4, 5]


def test_without_augmentation_the_embedding_is_the_condition(noise: Tensor) -> None:
    generator = ProgressiveGenerator(EMBEDDING, LATENT, (8, 6))
    networks = ConditionalGenerator(nn.Identity(), None, generator)
    embedding = torch.randn(3, EMBEDDING)
    assert networks.noise_dim == LATENT - EMBEDDING
    sample, moments = networks.generate(embedding, noise[:, : networks.noise_dim], 8, 1.0)
    assert moments is None
    assert torch.equal(sample, generator(embedding, noise[:, : networks.noise_dim], 8, 1.0))
    assert torch.equal(networks(embedding, noise[:, : networks.noise_dim], 8), sample)


def test_noise_dim_is_the_length_of_both_parts(networks: ConditionalGenerator) -> None:
    assert networks.noise_dim == CONDITION + (LATENT - CONDITION)
    with pytest.raises(RuntimeError, match="split"):
        networks(torch.tensor([[1, 2]]), torch.randn(1, LATENT + 1), 8)


class HalfPrecisionGenerator(Generator):
    """A generator that outputs half precision, as under autocast."""

    def __init__(self) -> None:
        super().__init__()
        self.noise_dim, self.max_resolution, self.grows = 1, 4, False

    def forward(self, condition: Tensor, noise: Tensor, resolution: int, alpha: float) -> Tensor:
        return torch.ones(len(noise), 3, 4, 4, dtype=torch.bfloat16)


def test_samples_are_float32_if_the_generator_outputs_half_precision() -> None:
    networks = ConditionalGenerator(nn.Identity(), None, HalfPrecisionGenerator())
    assert networks.generate(torch.zeros(2, 1), torch.zeros(2, 1), 4, 1.0)[0].dtype == torch.float32


def test_forward_returns_the_largest_image_of_a_pyramid() -> None:
    torch.manual_seed(0)
    generator = MultiScaleGenerator(EMBEDDING, LATENT, (8, 6))
    networks = ConditionalGenerator(nn.Identity(), None, generator)
    embedding, noise = torch.randn(3, EMBEDDING), torch.randn(3, LATENT - EMBEDDING)
    sample = networks.generate(embedding, noise, 8, 1.0)[0]
    assert sample.shape == (3, 3 * (16 + 64))
    assert torch.equal(networks(embedding, noise, 8), sample[:, 48:].reshape(3, 3, 8, 8))
