"""The contrastive loss in a training step."""

import copy

import pytest
import torch
from fixtures.tiny_gans import TEXT_DIM, assert_descended, dcgan, first_fakes, fit, gradients, make_batch, progressive

from t2f.objectives.contrastive import contrastive_loss


def test_similarity_is_the_cosine_over_the_temperature() -> None:
    model = progressive()
    features = torch.randn(3, 8, 4, 4)
    text_embedding = torch.randn(3, TEXT_DIM)
    similarity = model.discriminator.head.similarity(features, text_embedding)
    assert similarity.shape == (3, 3)
    torch.testing.assert_close(model.discriminator.head.similarity(features, 5 * text_embedding), similarity)
    assert similarity.abs().max() <= 10 + 1e-4  # the temperature is 0.1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model.discriminator.head.similarity(features, text_embedding).dtype == torch.float32


@pytest.mark.parametrize("labeled", [2, 6])
def test_each_network_descends_its_own_contrastive_loss(labeled: int) -> None:
    """The weighted loss adds its gradient to the change of each network: on real images, or on fakes."""
    batch = make_batch(labeled)
    before = progressive()
    plain, with_loss = copy.deepcopy(before), progressive(weights={"contrastive": 0.5})
    fit(plain, batch)
    report = fit(with_loss, batch)

    discriminator, text_embedding = before.discriminator, batch["conditions"]
    features = discriminator.extract(batch["images"] / 127.5 - 1, 8, 1.0)[:labeled]
    loss = contrastive_loss(
        discriminator.head.similarity(features, text_embedding[:labeled]),
        torch.eye(labeled) > 0,
        torch.ones(labeled) > 0,
    )
    assert report["discriminator/contrastive"] == pytest.approx(loss.item(), rel=1e-4)
    assert_descended(plain.discriminator, with_loss.discriminator, gradients(0.5 * loss, discriminator))

    before = progressive(rates=(1.0, 0.0))  # with the discriminator unchanged, both generators learn from the same
    plain, with_loss = copy.deepcopy(before), progressive(rates=(1.0, 0.0), weights={"contrastive": 0.5})
    fit(plain, batch)
    report = fit(with_loss, batch)
    discriminator, (fake, _, _) = before.discriminator, first_fakes(before, batch)
    loss = contrastive_loss(
        discriminator.head.similarity(discriminator.extract(fake, 8, 1.0), text_embedding),
        torch.eye(6) > 0,
        torch.ones(6) > 0,
    )
    assert report["generator/contrastive"] == pytest.approx(loss.item(), rel=1e-4)
    assert_descended(plain.networks, with_loss.networks, gradients(0.5 * loss, before.networks))


def test_a_discriminator_without_similarity_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"objectives\.contrastive needs similarity, which DCGANDiscriminator"):
        dcgan(weights={"contrastive": 1.0})
