import math

import pytest
import torch
from torch import Tensor, nn

from t2f.networks.conditioning import ConditioningAugmentation
from t2f.networks.progressive import Generator
from t2f.networks.text_to_face import TextToFace

WORDS, CONDITION, LATENT = 6, 4, 9


class MeanOfWords(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(12, WORDS)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.table(tokens).mean(dim=1)


@pytest.fixture
def networks() -> TextToFace:
    torch.manual_seed(0)
    return TextToFace(MeanOfWords(), ConditioningAugmentation(WORDS, CONDITION), Generator(LATENT, (8, 6)))


@pytest.fixture
def noise() -> Tensor:
    return torch.randn(3, LATENT, generator=torch.Generator().manual_seed(1))


def test_the_condition_comes_before_the_noise_in_the_latent(networks: TextToFace, noise: Tensor) -> None:
    mean, deviation = [1.0, -1.0, 0.5, 2.0], [1.0, 2.0, 0.1, 0.5]
    with torch.no_grad():
        networks.conditioning.project.weight.zero_()
        networks.conditioning.project.bias.copy_(torch.tensor([*mean, *(2 * math.log(each) for each in deviation)]))
    latent = noise.clone()
    latent[:, :CONDITION] = torch.tensor(mean) + torch.tensor(deviation) * noise[:, :CONDITION]
    image, told_mean, told_log_variance = networks.draw(torch.randn(3, WORDS), noise, 8, 0.3)
    torch.testing.assert_close(image, networks.generator(latent, 8, 0.3))
    torch.testing.assert_close(told_mean, torch.tensor([mean] * 3))
    torch.testing.assert_close(told_log_variance, 2 * torch.tensor([deviation] * 3).log())


def test_forward_draws_the_words(networks: TextToFace, noise: Tensor) -> None:
    tokens = torch.tensor([[1, 2], [3, 4], [5, 6]])
    image = networks(tokens, noise, 8, 0.7)
    assert image.shape == (3, 3, 8, 8)
    assert torch.equal(image, networks.draw(networks.encoder(tokens), noise, 8, 0.7)[0])


def test_without_an_alpha_the_newest_layers_count_fully(networks: TextToFace, noise: Tensor) -> None:
    tokens = torch.tensor([[1, 2]] * 3)
    assert torch.equal(networks(tokens, noise, 8), networks(tokens, noise, 8, 1.0))
    assert not torch.equal(networks(tokens, noise, 8), networks(tokens, noise, 8, 0.0))


def test_words_and_noise_both_change_the_face(networks: TextToFace, noise: Tensor) -> None:
    one, other = torch.tensor([[1, 2]] * 3), torch.tensor([[7, 8]] * 3)
    assert (networks(one, noise, 8) - networks(other, noise, 8)).abs().max() > 0.01
    assert (networks(one, noise, 8) - networks(one, -noise, 8)).abs().max() > 0.01


def test_each_face_depends_on_its_own_words_and_noise_only(networks: TextToFace, noise: Tensor) -> None:
    tokens = torch.tensor([[1, 2], [3, 4], [5, 6]])
    together = networks(tokens, noise, 8)
    for i in range(3):
        torch.testing.assert_close(networks(tokens[i : i + 1], noise[i : i + 1], 8), together[i : i + 1])


def test_the_image_teaches_exactly_the_words_it_was_drawn_from(networks: TextToFace, noise: Tensor) -> None:
    networks(torch.tensor([[1, 2], [3, 4], [5, 5]]), noise, 8).square().sum().backward()
    gradient = networks.encoder.table.weight.grad
    assert gradient.abs().sum(dim=1).nonzero().flatten().tolist() == [1, 2, 3, 4, 5]
