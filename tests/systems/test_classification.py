"""The classifying part of a step, against its gradient taken apart."""

import copy

import pytest
from systems.steps import assert_descended, dcgan, fit, gradients, growing, make_batch

from t2f.errors import UserError
from t2f.losses.classification import classification_loss


@pytest.mark.parametrize("labelled", [2, 6])
def test_the_discriminator_also_learns_attributes_of_pictures_and_of_words(labelled: int) -> None:
    """What a weight adds to its change is the gradient of both losses; the words of unlabelled faces say nothing."""
    batch = make_batch(labelled)
    before = growing(rates=(0.0, 1.0))
    plain, classifying = copy.deepcopy(before), growing(rates=(0.0, 1.0), classifier_weight=0.5)
    fit(plain, batch)
    report = fit(classifying, batch)

    judge, words = before.discriminator, batch["conditions"][:labelled]
    of_pictures, of_words = judge.classify(judge.see(batch["images"] / 127.5 - 1, 8, 1.0), words)
    assert of_pictures.shape == (6, 2)
    pictures = classification_loss(of_pictures, batch["attributes"])
    told = classification_loss(of_words, batch["attributes"][:labelled])
    assert report["loss/attributes_of_pictures"] == pytest.approx(pictures.item(), rel=1e-4)
    assert report["loss/attributes_of_words"] == pytest.approx(told.item(), rel=1e-4)
    assert_descended(plain.discriminator, classifying.discriminator, gradients(0.5 * (pictures + told), judge))
    assert_descended(plain.networks, classifying.networks, {})


def test_data_without_attributes_are_learnt_without_a_classifier() -> None:
    system = growing(classifier_weight=1.0, classes=0)
    assert not [name for name, _ in system.named_parameters() if "classifier" in name]
    report = fit(system, make_batch())
    assert "loss/attributes_of_pictures" not in report


def test_a_discriminator_that_cannot_classify_is_refused() -> None:
    with pytest.raises(UserError, match=r"model\.classifier_weight is 1\.0, but the discriminator does not classify"):
        dcgan(classifier_weight=1.0)
