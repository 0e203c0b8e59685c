"""The classifying part of a step, against its gradient taken apart."""

import copy

import pytest
from fixtures.steps import assert_descended, dcgan, fit, gradients, growing, make_batch

from t2f.objectives.attributes import classification_loss


@pytest.mark.parametrize("labeled", [2, 6])
def test_the_discriminator_also_learns_attributes_of_pictures_and_of_words(labeled: int) -> None:
    """What a weight adds to its change is the gradient of both losses; the words of unlabeled faces say nothing."""
    batch = make_batch(labeled)
    before = growing(rates=(0.0, 1.0))
    plain, classifying = copy.deepcopy(before), growing(rates=(0.0, 1.0), weights={"attributes": 0.5})
    fit(plain, batch)
    report = fit(classifying, batch)

    judge, words = before.discriminator, batch["conditions"][:labeled]
    of_pictures, of_words = judge.head.attribute_logits(judge.extract(batch["images"] / 127.5 - 1, 8, 1.0), words)
    assert of_pictures.shape == (6, 2)
    pictures = classification_loss(of_pictures, batch["attributes"]).mean()
    told = classification_loss(of_words, batch["attributes"][:labeled]).mean()
    assert report["attributes/images"] == pytest.approx(pictures.item(), rel=1e-4)
    assert report["attributes/texts"] == pytest.approx(told.item(), rel=1e-4)
    assert_descended(plain.discriminator, classifying.discriminator, gradients(0.5 * (pictures + told), judge))
    assert_descended(plain.networks, classifying.networks, {})


def test_data_without_attributes_are_learnt_without_a_classifier() -> None:
    batch = make_batch()
    batch["attributes"] = batch["attributes"][:, :0]
    plain, without = growing(classes=0), growing(weights={"attributes": 1.0}, classes=0)
    fit(plain, batch)
    assert fit(without, batch)["discriminator/attributes"] == 0
    assert_descended(plain, without, {})


def test_a_discriminator_that_cannot_classify_is_refused() -> None:
    with pytest.raises(ValueError, match=r"objectives\.attributes needs attribute_logits, which DCGANDiscriminator"):
        dcgan(weights={"attributes": 1.0})
