"""The training step, compared with losses that the tests compute themselves."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fixtures.tiny_gans import (
    BATCH_SIZE,
    TEXT_DIM,
    assert_descended,
    dcgan,
    first_fakes,
    fit,
    gradients,
    make_batch,
    make_gan,
    progressive,
)
from torch import Tensor, nn

from t2f.conditioning.conditional_generator import ConditionalGenerator
from t2f.networks.base import Discriminator, Generator, Head
from t2f.objectives import R1, Relativistic
from t2f.text.lstm import LSTMEncoder
from t2f.training.batches.batch import Batch
from t2f.training.conditional_gan import ConditionalGAN, nearest_different
from t2f.training.ema import EMA

# --- unlabeled images -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labeled", [2, 3, BATCH_SIZE])
def test_the_discriminator_loss_uses_texts_of_labeled_images_only(labeled: int) -> None:
    model, batch = progressive(), make_batch(labeled)
    before = copy.deepcopy(model)
    report = fit(model, batch)

    discriminator = before.discriminator
    real, (fake, _, _) = batch["images"] / 127.5 - 1, first_fakes(before, batch)
    head, text = discriminator.head, batch["conditions"]
    real_features, fake_features = discriminator.extract(real, 8, 1.0), discriminator.extract(fake.detach(), 8, 1.0)
    rows = range(labeled)
    real_logits = torch.stack([head.conditional_logits(real_features[[i]], text[[i]]) for i in rows])
    fake_logits = torch.stack([head.conditional_logits(fake_features[[i]], text[[i]]) for i in rows])
    mismatched = torch.stack([head.conditional_logits(real_features[[i]], text[[(i - 1) % labeled]]) for i in rows])
    conditional = F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean() + 0.5 * F.softplus(mismatched).mean()
    unconditional = (
        F.softplus(-head.unconditional_logits(real_features)).mean()
        + F.softplus(head.unconditional_logits(fake_features)).mean()
    )
    loss = conditional + unconditional
    assert report["loss/discriminator"] == pytest.approx(loss.item(), rel=1e-5)
    assert report["discriminator/unconditional"] == pytest.approx(unconditional.item(), rel=1e-5)
    assert report["score/real"] == pytest.approx(real_logits.mean().item(), rel=1e-4, abs=1e-6)
    assert report["score/fake"] == pytest.approx(fake_logits.mean().item(), rel=1e-4, abs=1e-6)
    assert report["score/mismatched"] == pytest.approx(mismatched.mean().item(), rel=1e-4, abs=1e-6)
    assert_descended(discriminator, model.discriminator, gradients(loss, discriminator))


def test_texts_of_unlabeled_images_do_not_change_the_scores_of_real_images() -> None:
    batch = make_batch(labeled=3)
    other = copy.deepcopy(batch)
    other["conditions"][3:] = torch.randn(3, TEXT_DIM)
    one, two = fit(progressive(), batch), fit(progressive(), other)
    for name in ("score/real", "score/mismatched", "score/real_unconditional"):
        assert one[name] == two[name]
    assert one["score/fake_unconditional"] != two["score/fake_unconditional"]  # the generator uses them


@pytest.mark.parametrize("labeled", [3, BATCH_SIZE])
def test_the_generator_loss_uses_all_texts_both_scores_and_the_kl_divergence(labeled: int) -> None:
    model, batch = progressive(rates=(1.0, 0.0)), make_batch(labeled)
    before = copy.deepcopy(model)
    report = fit(model, batch)

    discriminator = before.discriminator
    fake, mean, log_variance = first_fakes(before, batch)
    features = discriminator.extract(fake, 8, 1.0)
    conditional = F.softplus(-discriminator.head.conditional_logits(features, batch["conditions"])).mean()
    unconditional = F.softplus(-discriminator.head.unconditional_logits(features)).mean()
    kl = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(1).mean()
    assert report["generator/conditional"] == pytest.approx(conditional.item(), rel=1e-5)
    assert report["generator/kl"] == pytest.approx(kl.item(), rel=1e-5)
    expected = gradients(conditional + unconditional + 0.25 * kl, before.networks)
    assert {name.split(".")[0] for name in expected} == {"conditioning", "generator"}
    assert_descended(before.networks, model.networks, expected)
    assert_descended(discriminator, model.discriminator, {})


def test_the_unconditional_loss_needs_unconditional_logits() -> None:
    report = fit(progressive(unconditional=False), make_batch())
    assert not [name for name in report if name.endswith("unconditional")]


def test_requirements_of_batches_depend_on_the_objectives() -> None:
    assert (progressive().min_labeled, progressive(weights={"mismatched": 0}).min_labeled) == (2, 1)
    assert (progressive(unconditional=True).uses_unlabeled, dcgan().uses_unlabeled) == (True, False)


def test_mismatched_text_differs_if_possible() -> None:
    """Each row gets the condition of the nearest row before it that differs."""
    labels = torch.tensor([[1], [1], [0], [0], [1]])
    all_labeled = torch.ones(6, dtype=torch.bool)
    assert nearest_different(labels, all_labeled[:5]).tolist() == [3, 3, 1, 1, 3]
    assert nearest_different(torch.ones(3, 2), all_labeled[:3]).tolist() == [2, 0, 1]
    distinct = torch.arange(6).reshape(6, 1)
    assert torch.equal(nearest_different(distinct, all_labeled), torch.arange(6).roll(1))


def test_mismatched_text_comes_from_labeled_rows() -> None:
    distinct, labeled = torch.arange(6).reshape(6, 1), torch.tensor([True, True, False, True, False, False])
    assert nearest_different(distinct, labeled)[labeled].tolist() == [3, 0, 1]
    assert nearest_different(torch.ones(6, 1), labeled)[labeled].tolist() == [3, 0, 1]


# --- metrics ----------------------------------------------------------------------------------------------------------


class ConditionAsBrightness(Generator):
    """Generates uniform images whose brightness is the first number of the condition."""

    def __init__(self) -> None:
        super().__init__()
        self.noise_dim, self.max_resolution, self.grows = 1, 8, False
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, condition: Tensor, noise: Tensor, resolution: int, alpha: float) -> Tensor:
        return self.factor * condition[:, :1, None, None].expand(-1, 3, 8, 8)


class FeaturesAsLogits(Head):
    def conditional_logits(self, features: Tensor, text_embedding: Tensor) -> Tensor:
        return features


class Brightness(Discriminator):
    """Scores an image by its brightness, in [-1, 1]."""

    max_resolution = 8

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))
        self.head = FeaturesAsLogits()

    def to_sample(self, images: Tensor, resolution: int, alpha: float) -> Tensor:
        return images

    def extract(self, sample: Tensor, resolution: int, alpha: float) -> Tensor:
        return self.factor * sample.mean(dim=(1, 2, 3))


def brightness_gan(**more: Any) -> ConditionalGAN:
    return make_gan(ConditionalGenerator(nn.Identity(), None, ConditionAsBrightness()), Brightness(), **more)


def test_images_of_another_size_than_the_generators_are_refused() -> None:
    discriminator = Brightness()
    discriminator.max_resolution = 16
    with pytest.raises(ValueError, match="discriminator takes images of 16 pixels, but the generator's have 8"):
        make_gan(ConditionalGenerator(nn.Identity(), None, ConditionAsBrightness()), discriminator)


def uniform_batch(brightness: list[int], conditions: list[float]) -> Batch:
    images = torch.tensor(brightness, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8).clone()
    return {
        "images": images,
        "conditions": torch.tensor(conditions)[:, None],
        "attributes": torch.empty(len(conditions), 0, dtype=torch.int8),
        "labeled": torch.ones(len(conditions)) > 0,
    }


def test_accuracies_are_fractions_of_scores_with_the_correct_sign() -> None:
    model = brightness_gan()
    report = fit(model, uniform_batch([255, 200, 128, 127, 0, 255], [0.1, -0.2, 0.3, -0.4, 0.5, 0.6]))
    assert report["accuracy/real"] == pytest.approx(4 / 6)
    assert report["accuracy/fake"] == pytest.approx(2 / 6)
    assert report["score/real"] == pytest.approx(sum(value / 127.5 - 1 for value in (255, 200, 128, 127, 0, 255)) / 6)
    assert report["score/fake"] == pytest.approx(0.9 / 6)


def test_the_relativistic_loss_compares_fakes_with_real_images() -> None:
    model = brightness_gan(rates=(1.0, 0.0), loss=Relativistic())
    brightness, conditions = [255, 200, 128, 127, 0, 255], [0.1, -0.2, 0.3, -0.4, 0.5, 0.6]
    report = fit(model, uniform_batch(brightness, conditions))
    differences = [(real / 127.5 - 1) - fake for real, fake in zip(brightness, conditions, strict=True)]
    loss = sum(math.log1p(math.exp(difference)) for difference in differences) / 6
    assert report["loss/generator"] == pytest.approx(loss, rel=1e-5)
    # d/d factor of mean softplus(real - factor * fake), at 1
    gradient = sum(-fake / (1 + math.exp(-d)) for fake, d in zip(conditions, differences, strict=True)) / 6
    assert model.networks.generator.factor.item() == pytest.approx(1 - gradient, rel=1e-5)


@pytest.mark.parametrize(("step", "due"), [(0, True), (1, False), (2, False), (3, True)])
def test_a_lazy_penalty_is_due_at_every_third_step(step: int, due: bool) -> None:
    model = brightness_gan(penalties={"r1": R1(2.0, every=3)})
    model.images_seen = step * BATCH_SIZE
    report = fit(model, uniform_batch([255] * BATCH_SIZE, [0.0] * BATCH_SIZE))
    assert ("discriminator/r1" in report) == due
    if due:  # half the squared norm of the gradient of a mean of 192 numbers
        assert report["discriminator/r1"] == pytest.approx(1 / 2 / 192)


@pytest.mark.parametrize(("images_seen", "due"), [(0, True), (BATCH_SIZE, False), (2 * BATCH_SIZE, True)])
def test_with_two_critic_steps_the_generator_learns_every_other_step(images_seen: int, due: bool) -> None:
    model = progressive(n_critic=2)
    model.images_seen = images_seen
    before = copy.deepcopy(model.networks.state_dict())
    report = fit(model, make_batch())
    assert ("loss/generator" in report) == due
    changed = any(not torch.equal(value, before[name]) for name, value in model.networks.state_dict().items())
    assert changed == due


def test_images_seen_counts_labeled_and_unlabeled_images() -> None:
    model = progressive()
    fit(model, make_batch(), make_batch(labeled=2))
    assert model.images_seen == 2 * BATCH_SIZE


# --- the encoder ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("learns_from", "rates"), [("generator", (1.0, 0.0)), ("discriminator", (0.0, 1.0))])
def test_the_encoder_learns_only_from_the_chosen_step(learns_from: str, rates: tuple[float, float]) -> None:
    batch = make_batch()
    batch["conditions"] = torch.randint(1, 12, (BATCH_SIZE, 4), generator=torch.Generator().manual_seed(2))
    for step_rates, learns in ((rates, True), (rates[::-1], False)):
        torch.manual_seed(3)
        encoder = LSTMEncoder(vocabulary=12, word_dim=4, hidden_dim=TEXT_DIM, layers=1)
        model = progressive(encoder=encoder, encoder_learns_from=learns_from, rates=step_rates)
        before = copy.deepcopy(encoder.state_dict())
        fit(model, batch)
        changed = [not torch.equal(value, before[name]) for name, value in encoder.state_dict().items()]
        assert any(changed) == learns


@pytest.mark.parametrize("learns_from", ["generator", "discriminator"])
@pytest.mark.parametrize("build", [progressive, dcgan])
def test_an_encoder_without_weights_is_supported(build: Any, learns_from: str) -> None:
    model = build(encoder_learns_from=learns_from)
    assert list(model.networks.encoder.parameters()) == []
    before = copy.deepcopy(model)
    fit(model, make_batch(), make_batch())
    for optimizer, network in zip(model.both_optimizers(), (model.networks, model.discriminator), strict=True):
        assert set(map(id, optimizer.param_groups[0]["params"])) == set(map(id, network.parameters()))
    for one, other in ((model.networks, before.networks), (model.discriminator, before.discriminator)):
        assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
        assert all(value.isfinite().all() for value in one.parameters())


# --- the moving average -----------------------------------------------------------------------------------------------


def floats(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items() if value.is_floating_point()}


@pytest.mark.parametrize("build", [progressive, dcgan])
def test_with_half_life_zero_the_average_equals_the_networks(build: Any) -> None:
    model = build(ema=EMA(0))
    before = floats(model.ema)
    fit(model, make_batch(), make_batch())
    assert all(torch.equal(value, floats(model.ema)[name]) for name, value in floats(model.networks).items())
    assert any(not torch.equal(value, before[name]) for name, value in floats(model.ema).items())


@pytest.mark.parametrize(
    ("half_life", "ramp", "beta"),
    [(BATCH_SIZE, 1e9, 0.5), (2 * BATCH_SIZE, 1e9, 0.5**0.5), (1e9, 2.0, 0.5**3)],  # images seen count as at least 1
)
def test_the_average_includes_weights_and_batch_norm_statistics(half_life: float, ramp: float, beta: float) -> None:
    model = dcgan(ema=EMA(half_life, ramp))
    before = floats(model.ema)
    fit(model, make_batch())
    after, average = floats(model.networks), floats(model.ema)
    assert [name for name in after if name.endswith("running_mean") and after[name].any()]
    for name, value in average.items():
        torch.testing.assert_close(value, beta * before[name] + (1 - beta) * after[name], rtol=1e-5, atol=1e-7)


def test_sampling_uses_the_average_and_changes_no_state() -> None:
    model = dcgan(ema=EMA(BATCH_SIZE, 1e9))
    fit(model, make_batch(), make_batch())
    assert not any(part.training for part in model.ema.modules())
    before = copy.deepcopy(model.state_dict())
    conditions, noise = make_batch()["conditions"], torch.randn(BATCH_SIZE, model.noise_dim)
    images = model.sample(conditions, noise)
    assert torch.equal(images, model.ema(conditions, noise, 8, 1.0))
    assert not torch.allclose(images, copy.deepcopy(model.networks).eval()(conditions, noise, 8, 1.0))
    assert not images.requires_grad
    torch.testing.assert_close(model.sample(conditions[:1], noise[:1]), images[:1])  # samples are independent
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EMA(half_life=-1), r"half_life is -1: it must be 0 \(none\) or above"),
        (lambda: EMA(ramp=0), "ramp is 0"),
        (lambda: progressive(n_critic=0), "n_critic is 0"),
        (lambda: progressive(encoder_learns_from="both"), "encoder_learns_from is both"),
        (lambda: R1(-1.0), "weight is -1"),
        (lambda: R1(every=0), "every is 0"),
    ],
)
def test_errors_name_the_argument(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# --- learning rates ---------------------------------------------------------------------------------------------------


def test_the_schedule_scales_both_learning_rates() -> None:
    model = progressive(lr_schedule=lambda state: 0.25)
    fit(model, make_batch())
    for optimizer in model.both_optimizers():
        (rate,) = {group["lr"] for group in optimizer.param_groups}
        assert rate == pytest.approx(0.25 * optimizer.defaults["lr"])
