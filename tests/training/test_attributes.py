"""The attribute classification loss in a training step."""

import copy

import pytest
from fixtures.tiny_gans import assert_descended, dcgan, fit, gradients, make_batch, progressive

from t2f.objectives.attributes import classification_loss


@pytest.mark.parametrize("labeled", [2, 6])
def test_the_discriminator_descends_the_classification_losses_of_images_and_texts(labeled: int) -> None:
    """The weighted loss adds its gradient to the discriminator's change. Texts of unlabeled images are ignored."""
    batch = make_batch(labeled)
    before = progressive(rates=(0.0, 1.0))
    plain, with_loss = copy.deepcopy(before), progressive(rates=(0.0, 1.0), weights={"attributes": 0.5})
    fit(plain, batch)
    report = fit(with_loss, batch)

    discriminator, text_embedding = before.discriminator, batch["conditions"][:labeled]
    features = discriminator.extract(batch["images"] / 127.5 - 1, 8, 1.0)
    image_logits, text_logits = discriminator.head.attribute_logits(features, text_embedding)
    assert image_logits.shape == (6, 2)
    image_loss = classification_loss(image_logits, batch["attributes"]).mean()
    text_loss = classification_loss(text_logits, batch["attributes"][:labeled]).mean()
    assert report["attributes/images"] == pytest.approx(image_loss.item(), rel=1e-4)
    assert report["attributes/texts"] == pytest.approx(text_loss.item(), rel=1e-4)
    assert_descended(
        plain.discriminator, with_loss.discriminator, gradients(0.5 * (image_loss + text_loss), discriminator)
    )
    assert_descended(plain.networks, with_loss.networks, {})


def test_the_loss_is_zero_without_attributes() -> None:
    batch = make_batch()
    batch["attributes"] = batch["attributes"][:, :0]
    plain, with_loss = progressive(classes=0), progressive(weights={"attributes": 1.0}, classes=0)
    fit(plain, batch)
    assert fit(with_loss, batch)["discriminator/attributes"] == 0
    assert_descended(plain, with_loss, {})


def test_a_discriminator_without_attribute_logits_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"objectives\.attributes needs attribute_logits, which DCGANDiscriminator"):
        dcgan(weights={"attributes": 1.0})
