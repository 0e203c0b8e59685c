import pytest
import torch
import torch.nn.functional as F

from t2f.networks.diffaugment import DiffAugment
from t2f.networks.multiscale import unflatten_pyramid
from t2f.networks.projected import ProjectedDiscriminator

pytest.importorskip("timm", reason="timm is missing: pip install -e '.[metrics]'")

CHANNELS = (8, 6, 5, 4, 3)  # at 4, 8, 16, 32 and 64 pixels
EMBEDDING, TEXT = 5, 2


def make_discriminator(channels: tuple[int, ...] = CHANNELS) -> ProjectedDiscriminator:
    torch.manual_seed(1)
    return ProjectedDiscriminator(
        channels,
        embedding_dim=EMBEDDING,
        text_dim=TEXT,
        project=True,
        unconditional=True,
        classes=2,
        augment=DiffAugment(()),
    )


def real_sample(discriminator: ProjectedDiscriminator) -> torch.Tensor:
    images = 2 * torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(2)) - 1
    return discriminator.to_sample(images, 64, 1.0)


def text() -> torch.Tensor:
    return torch.randn(4, EMBEDDING, generator=torch.Generator().manual_seed(3))


def test_frozen_features_are_added_to_the_blocks_of_their_size() -> None:
    discriminator = make_discriminator()
    sample = real_sample(discriminator)
    pyramid = unflatten_pyramid(sample, 5)
    x = F.leaky_relu(discriminator.from_rgb(pyramid[-1]), 0.2)
    maps = discriminator.backbone(pyramid[-1])
    assert [each.shape[-1] for each in maps] == [32, 16, 8, 4]
    for block, frozen, convolution, image in zip(
        discriminator.blocks, maps, discriminator.from_maps, reversed(pyramid[:-1]), strict=True
    ):
        normalized = frozen / (frozen.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()
        x = torch.cat([block(x) + convolution(normalized), image], dim=1)
    expected = discriminator.head(F.leaky_relu(discriminator.join(x), 0.2))
    torch.testing.assert_close(discriminator.extract(sample, 64, 1.0), expected)


def test_all_of_its_own_layers_are_trained_and_the_frozen_ones_are_not() -> None:
    discriminator = make_discriminator()
    output = discriminator(real_sample(discriminator), text(), 64, 1.0)
    attributes = torch.cat(output.attribute_logits)
    (output.conditional_logits.sum() + output.unconditional_logits.sum() + attributes.sum()).backward()
    assert [name for name, parameter in discriminator.named_parameters() if parameter.grad is None] == []
    assert not any(name.startswith("backbone") for name in discriminator.state_dict())


def test_every_scale_gets_a_gradient() -> None:
    discriminator = make_discriminator()
    sample = real_sample(discriminator).requires_grad_(True)
    discriminator(sample, text(), 64, 1.0).conditional_logits.sum().backward()
    assert sample.grad is not None
    for gradient in unflatten_pyramid(sample.grad, 5):
        assert (gradient.flatten(1).norm(dim=1) > 0).all()


def test_frozen_features_of_larger_images_have_the_same_sizes() -> None:
    discriminator = make_discriminator((*CHANNELS, 2))
    images = torch.zeros(2, 3, 128, 128)
    output = discriminator(discriminator.to_sample(images, 128, 1.0), text()[:2], 128, 1.0)
    assert output.conditional_logits.shape == (2,)


def test_images_below_64_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="channels has 4 values"):
        make_discriminator(CHANNELS[:4])
