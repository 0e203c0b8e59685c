"""The contrastive part of a step, against its gradients taken apart."""

import copy

import pytest
import torch
from fixtures.steps import WORDS, assert_descended, dcgan, drawing, fit, gradients, growing, make_batch

from t2f.objectives.contrastive import contrastive_loss


def test_pictures_and_words_are_compared_by_their_angle() -> None:
    system = growing()
    seen = torch.randn(3, 8, 4, 4)
    words = torch.randn(3, WORDS)
    similarity = system.discriminator.head.similarity(seen, words)
    assert similarity.shape == (3, 3)
    torch.testing.assert_close(system.discriminator.head.similarity(seen, 5 * words), similarity)
    assert similarity.abs().max() <= 10 + 1e-4  # cosines over the temperature, 0.1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert system.discriminator.head.similarity(seen, words).dtype == torch.float32


@pytest.mark.parametrize("labeled", [2, 6])
def test_each_network_also_descends_its_own_contrastive_loss(labeled: int) -> None:
    """What a weight adds to each step's change is the gradient of the loss of real, or of drawn pictures."""
    batch = make_batch(labeled)
    before = growing()
    plain, contrasted = copy.deepcopy(before), growing(weights={"contrastive": 0.5})
    fit(plain, batch)
    report = fit(contrasted, batch)

    judge, words = before.discriminator, batch["conditions"]
    seen = judge.extract(batch["images"] / 127.5 - 1, 8, 1.0)[:labeled]
    loss = contrastive_loss(
        judge.head.similarity(seen, words[:labeled]), torch.eye(labeled) > 0, torch.ones(labeled) > 0
    )
    assert report["discriminator/contrastive"] == pytest.approx(loss.item(), rel=1e-4)
    assert_descended(plain.discriminator, contrasted.discriminator, gradients(0.5 * loss, judge))

    before = growing(rates=(1.0, 0.0))  # the discriminator stays, so that both generators learn from the same
    plain, contrasted = copy.deepcopy(before), growing(rates=(1.0, 0.0), weights={"contrastive": 0.5})
    fit(plain, batch)
    report = fit(contrasted, batch)
    judge, (fake, _, _) = before.discriminator, drawing(before, batch)
    loss = contrastive_loss(
        judge.head.similarity(judge.extract(fake, 8, 1.0), words), torch.eye(6) > 0, torch.ones(6) > 0
    )
    assert report["generator/contrastive"] == pytest.approx(loss.item(), rel=1e-4)
    assert_descended(plain.networks, contrasted.networks, gradients(0.5 * loss, before.networks))


def test_a_discriminator_that_cannot_compare_is_refused() -> None:
    with pytest.raises(ValueError, match=r"objectives\.contrastive needs similarity, which DCGANDiscriminator"):
        dcgan(weights={"contrastive": 1.0})
