"""The networks of faCeGAN, compared with plain torch layers in the order of its published code."""

import pytest
import torch
from torch import Tensor, nn

from t2f.networks.dcgan import DCGANDiscriminator, DCGANGenerator, convolve_constant
from t2f.networks.diffaugment import DiffAugment

LABELS, NOISE = 2, 100


class PublishedGenerator(nn.Module):
    """At 64x64: one layer each for noise and label, concatenated, then four layers."""

    def __init__(self) -> None:
        super().__init__()
        self.noise = nn.ConvTranspose2d(NOISE, 512, 4, 1, 0)
        self.noise_norm = nn.BatchNorm2d(512)
        self.label = nn.ConvTranspose2d(LABELS, 512, 4, 1, 0)
        self.label_norm = nn.BatchNorm2d(512)
        self.first = nn.ConvTranspose2d(1024, 512, 4, 2, 1)
        self.first_norm = nn.BatchNorm2d(512)
        self.second = nn.ConvTranspose2d(512, 256, 4, 2, 1)
        self.second_norm = nn.BatchNorm2d(256)
        self.third = nn.ConvTranspose2d(256, 128, 4, 2, 1)
        self.third_norm = nn.BatchNorm2d(128)
        self.last = nn.ConvTranspose2d(128, 3, 4, 2, 1)

    def forward(self, label: Tensor, noise: Tensor) -> Tensor:
        z = act(self.noise_norm(self.noise(noise.reshape(-1, NOISE, 1, 1))))
        y = act(self.label_norm(self.label(label.reshape(-1, LABELS, 1, 1))))
        x = torch.cat([z, y], dim=1)
        x = act(self.first_norm(self.first(x)))
        x = act(self.second_norm(self.second(x)))
        x = act(self.third_norm(self.third(x)))
        return self.last(x).tanh()


class PublishedDiscriminator(nn.Module):
    """At 64x64: one layer each for image and broadcast label, concatenated, then four layers."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Conv2d(3, 64, 4, 2, 1)
        self.label = nn.Conv2d(LABELS, 64, 4, 2, 1)
        self.first = nn.Conv2d(128, 256, 4, 2, 1)
        self.first_norm = nn.BatchNorm2d(256)
        self.second = nn.Conv2d(256, 512, 4, 2, 1)
        self.second_norm = nn.BatchNorm2d(512)
        self.third = nn.Conv2d(512, 1024, 4, 2, 1)
        self.third_norm = nn.BatchNorm2d(1024)
        self.last = nn.Conv2d(1024, 1, 4, 1, 0)

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        maps = label.reshape(-1, LABELS, 1, 1).repeat(1, 1, 64, 64)
        x = torch.cat([act(self.image(image)), act(self.label(maps))], dim=1)
        x = act(self.first_norm(self.first(x)))
        x = act(self.second_norm(self.second(x)))
        x = act(self.third_norm(self.third(x)))
        return self.last(x).reshape(-1)


def act(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def copy_state(own: nn.Module, published: nn.Module) -> None:
    """Copy our weights, biases and running statistics to the published layers, in order; the shapes must be equal."""
    pairs = zip(own.state_dict().values(), published.state_dict().values(), strict=True)
    for ours, theirs in pairs:
        assert ours.shape == theirs.shape
        theirs.copy_(ours)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(scope="module")
def generator() -> DCGANGenerator:
    torch.manual_seed(0)
    return DCGANGenerator(LABELS, NOISE, width=512, resolution=64)


@pytest.fixture(scope="module")
def discriminator() -> DCGANDiscriminator:
    torch.manual_seed(1)
    return DCGANDiscriminator(LABELS, width=128, resolution=64, augment=DiffAugment([]))


def test_the_generator_has_the_published_number_of_parameters(generator: DCGANGenerator) -> None:
    """Weights, biases and two values of batch norm for each channel, layer by layer."""
    expected = [
        NOISE * 512 * 16 + 512 + 2 * 512,
        LABELS * 512 * 16 + 512 + 2 * 512,
        1024 * 512 * 16 + 512 + 2 * 512,
        512 * 256 * 16 + 256 + 2 * 256,
        256 * 128 * 16 + 128 + 2 * 128,
        128 * 3 * 16 + 3,
    ]
    assert count(generator) == sum(expected)


def test_the_discriminator_has_the_published_number_of_parameters(discriminator: DCGANDiscriminator) -> None:
    expected = [
        3 * 64 * 16 + 64,
        LABELS * 64 * 16 + 64,
        128 * 256 * 16 + 256 + 2 * 256,
        256 * 512 * 16 + 512 + 2 * 512,
        512 * 1024 * 16 + 1024 + 2 * 1024,
        1024 * 16 + 1,
    ]
    assert count(discriminator) == sum(expected)


@pytest.mark.parametrize("training", [True, False])
@torch.no_grad()
def test_the_generator_generates_the_same_as_the_published_layers(generator: DCGANGenerator, training: bool) -> None:
    published = PublishedGenerator()
    copy_state(generator, published)
    label, noise = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]), torch.randn(3, NOISE)
    expected = published.train(training)(label, noise)
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(generator.train(training)(label, noise, 64, 1.0), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
@torch.no_grad()
def test_the_discriminator_scores_as_the_published_layers_do(discriminator: DCGANDiscriminator, training: bool) -> None:
    published = PublishedDiscriminator()
    copy_state(discriminator, published)
    label, image = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]), torch.rand(3, 3, 64, 64) * 2 - 1
    expected = published.train(training)(image, label)
    assert expected.shape == (3,)
    assert expected.std() > 1e-4
    found = discriminator.train(training)(image, label, 64, 1.0).conditional_logits
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("labels", "size"), [(2, 32), (40, 32), (5, 4), (5, 8)])
def test_a_constant_map_is_convolved_like_a_full_one(labels: int, size: int) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(labels, 7, 4, 2, 1)
    values = torch.randn(3, labels)
    whole = convolution(values[:, :, None, None].expand(-1, -1, 2 * size, 2 * size))
    torch.testing.assert_close(convolve_constant(convolution, values, size), whole, rtol=0, atol=1e-6)


def test_a_constant_map_gives_the_gradients_of_a_full_one() -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(4, 3, 4, 2, 1).double()
    values = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    wanted = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    learns = [convolution.weight, convolution.bias, values]
    short = torch.autograd.grad((convolve_constant(convolution, values, 16) * wanted).sum(), learns)
    maps = values[:, :, None, None].expand(-1, -1, 32, 32)
    whole = torch.autograd.grad((convolution(maps) * wanted).sum(), learns)
    for one, other in zip(short, whole, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_weights_are_initialized_with_a_standard_deviation_of_a_fiftieth(
    network: str, request: pytest.FixtureRequest
) -> None:
    module: nn.Module = request.getfixturevalue(network)
    convolutions = [part for part in module.modules() if isinstance(part, nn.Conv2d | nn.ConvTranspose2d)]
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    assert len(convolutions) == 6
    for part, mean in [*((each, 0.0) for each in convolutions), *((each, 1.0) for each in norms)]:
        weight = part.weight.detach().flatten()
        count = weight.numel()
        assert abs(weight.mean() - mean) < 5 * 0.02 / count**0.5  # five standard deviations
        assert abs(weight.std() - 0.02) < 5 * 0.02 / (2 * count) ** 0.5
        within = ((weight - mean).abs() < 0.02).float().mean().item()
        assert abs(within - 0.6827) < 5 * (0.6827 * 0.3173 / count) ** 0.5
    for norm in norms:
        assert not norm.bias.any()


@pytest.mark.parametrize(("resolution", "layers"), [(8, 1), (16, 2), (32, 3), (128, 5)])
def test_other_resolutions_have_a_layer_more_or_less_for_each_doubling(resolution: int, layers: int) -> None:
    generator = DCGANGenerator(3, 5, width=16, resolution=resolution)
    discriminator = DCGANDiscriminator(3, width=4, resolution=resolution, augment=DiffAugment([]))
    assert (generator.max_resolution, generator.noise_dim, generator.grows) == (resolution, 5, False)
    label = torch.randn(2, 3)
    image = generator(label, torch.randn(2, 5), resolution, 1.0)
    assert image.shape == (2, 3, resolution, resolution)
    assert discriminator(image, label, resolution, 1.0).conditional_logits.shape == (2,)
    assert sum(isinstance(part, nn.ConvTranspose2d) for part in generator.layers) == layers
    assert sum(isinstance(part, nn.Conv2d) for part in discriminator.head.layers) == layers


@pytest.mark.parametrize("resolution", [4, 48, 63, 0])
def test_what_is_no_doubling_of_four_pixels_is_refused(resolution: int) -> None:
    with pytest.raises(ValueError, match=rf"resolution is {resolution}: a DCGAN generates 8, 16, 32, 64"):
        DCGANGenerator(3, 5, width=16, resolution=resolution)
    with pytest.raises(ValueError, match=f"resolution is {resolution}"):
        DCGANDiscriminator(3, width=4, resolution=resolution, augment=DiffAugment([]))


def test_real_pictures_are_pooled_to_its_resolution() -> None:
    discriminator = DCGANDiscriminator(3, width=4, resolution=8, augment=DiffAugment([]))
    images = torch.randn(2, 3, 32, 32)
    expected = images.reshape(2, 3, 8, 4, 8, 4).mean(dim=(3, 5))
    torch.testing.assert_close(discriminator.to_sample(images, 8, 1.0), expected)
    assert torch.equal(discriminator.to_sample(images[:, :, :8, :8], 8, 1.0), images[:, :, :8, :8])


def test_label_and_noise_change_the_face_and_the_label_changes_the_score() -> None:
    torch.manual_seed(0)
    generator = DCGANGenerator(3, 5, width=16, resolution=8).eval()
    discriminator = DCGANDiscriminator(3, width=16, resolution=8, augment=DiffAugment([])).eval()
    label, noise = torch.randn(2, 3), torch.randn(2, 5)
    image = generator(label, noise, 8, 1.0)
    assert (image - generator(-label, noise, 8, 1.0)).abs().max() > 1e-4
    assert (image - generator(label, -noise, 8, 1.0)).abs().max() > 1e-4
    scores = [discriminator(image, each, 8, 1.0).conditional_logits for each in (label, -label)]
    assert (scores[0] - scores[1]).abs().min() > 1e-6


def test_its_pictures_are_seen_augmented() -> None:
    torch.manual_seed(0)
    discriminator = DCGANDiscriminator(3, width=16, resolution=8, augment=DiffAugment(["color"]))
    images = torch.rand(2, 3, 8, 8)
    torch.manual_seed(1)
    changed = discriminator.augment(images)
    expected = act(discriminator.from_image(changed))
    torch.manual_seed(1)
    torch.testing.assert_close(discriminator.extract(images, 8, 1.0), expected)
    assert not torch.equal(changed, images)
