"""One step of training, against the losses written out by hand."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fixtures.steps import (
    FACES,
    WORDS,
    assert_descended,
    dcgan,
    drawing,
    fit,
    gradients,
    growing,
    make_batch,
    system_of,
)
from torch import Tensor, nn

from t2f.conditioning.conditional_generator import ConditionalGenerator
from t2f.networks.base import Discriminator, DiscriminatorOutput, Generator, Head
from t2f.objectives import R1, WGANGP, GANStep, GradientPenalty, Relativistic
from t2f.objectives.penalties import penalty_precision
from t2f.text.lstm import LSTMEncoder
from t2f.training.batches.batch import Batch
from t2f.training.conditional_gan import nearest_different
from t2f.training.ema import EMA

# --- faces without words ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labeled", [2, 3, FACES])
def test_the_discriminator_learns_words_from_labeled_faces_and_looks_from_all(labeled: int) -> None:
    system, batch = growing(), make_batch(labeled)
    before = copy.deepcopy(system)
    report = fit(system, batch)

    judge = before.discriminator
    real, (fake, _, _) = batch["images"] / 127.5 - 1, drawing(before, batch)
    seen, seen_fake, words = judge.extract(real, 8, 1.0), judge.extract(fake.detach(), 8, 1.0), batch["conditions"]
    each = range(labeled)
    right = torch.stack([judge.head.conditional_logits(seen[[i]], words[[i]]) for i in each])
    drawn = torch.stack([judge.head.conditional_logits(seen_fake[[i]], words[[i]]) for i in each])
    wrong = torch.stack([judge.head.conditional_logits(seen[[i]], words[[(i - 1) % labeled]]) for i in each])
    conditional = F.softplus(-right).mean() + F.softplus(drawn).mean() + 0.5 * F.softplus(wrong).mean()
    alone = (
        F.softplus(-judge.head.unconditional_logits(seen)).mean()
        + F.softplus(judge.head.unconditional_logits(seen_fake)).mean()
    )
    assert report["loss/discriminator"] == pytest.approx((conditional + alone).item(), rel=1e-5)
    assert report["discriminator/unconditional"] == pytest.approx(alone.item(), rel=1e-5)
    assert report["score/real"] == pytest.approx(right.mean().item(), rel=1e-4, abs=1e-6)
    assert report["score/fake"] == pytest.approx(drawn.mean().item(), rel=1e-4, abs=1e-6)
    assert report["score/mismatched"] == pytest.approx(wrong.mean().item(), rel=1e-4, abs=1e-6)
    assert_descended(judge, system.discriminator, gradients(conditional + alone, judge))


def test_the_words_beside_unlabeled_faces_change_no_score_of_real_ones() -> None:
    batch = make_batch(labeled=3)
    other = copy.deepcopy(batch)
    other["conditions"][3:] = torch.randn(3, WORDS)
    one, two = fit(growing(), batch), fit(growing(), other)
    for name in ("score/real", "score/mismatched", "score/real_unconditional"):
        assert one[name] == two[name]
    assert one["score/fake_unconditional"] != two["score/fake_unconditional"]  # they are what the generator draws by


@pytest.mark.parametrize("labeled", [3, FACES])
def test_the_generator_learns_from_all_words_with_both_scores_and_the_divergence(labeled: int) -> None:
    system, batch = growing(rates=(1.0, 0.0)), make_batch(labeled)
    before = copy.deepcopy(system)
    report = fit(system, batch)

    judge = before.discriminator
    fake, mean, log_variance = drawing(before, batch)
    seen = judge.extract(fake, 8, 1.0)
    adversarial = F.softplus(-judge.head.conditional_logits(seen, batch["conditions"])).mean()
    alone = F.softplus(-judge.head.unconditional_logits(seen)).mean()
    divergence = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(1).mean()
    assert report["generator/conditional"] == pytest.approx(adversarial.item(), rel=1e-5)
    assert report["generator/kl"] == pytest.approx(divergence.item(), rel=1e-5)
    expected = gradients(adversarial + alone + 0.25 * divergence, before.networks)
    assert {name.split(".")[0] for name in expected} == {"conditioning", "generator"}
    assert_descended(before.networks, system.networks, expected)
    assert_descended(judge, system.discriminator, {})


def test_without_an_unconditional_score_there_is_no_loss_of_it() -> None:
    report = fit(growing(unconditional=False), make_batch())
    assert not [name for name in report if name.endswith("unconditional")]


def test_what_batches_must_have_is_said() -> None:
    assert (growing().min_labeled, growing(weights={"mismatched": 0}).min_labeled) == (2, 1)
    assert (growing(unconditional=True).uses_unlabeled, dcgan().uses_unlabeled) == (True, False)


def test_wrong_words_are_never_the_same_words() -> None:
    """Each face is told the words of the nearest one before it that are not its own."""
    labels = torch.tensor([[1], [1], [0], [0], [1]])
    all_labeled = torch.ones(6, dtype=torch.bool)
    assert nearest_different(labels, all_labeled[:5]).tolist() == [3, 3, 1, 1, 3]
    assert nearest_different(torch.ones(3, 2), all_labeled[:3]).tolist() == [2, 0, 1]
    distinct = torch.arange(6).reshape(6, 1)
    assert torch.equal(nearest_different(distinct, all_labeled), torch.arange(6).roll(1))


def test_mismatched_text_is_that_of_labeled_faces() -> None:
    distinct, labeled = torch.arange(6).reshape(6, 1), torch.tensor([True, True, False, True, False, False])
    assert nearest_different(distinct, labeled)[labeled].tolist() == [3, 0, 1]
    assert nearest_different(torch.ones(6, 1), labeled)[labeled].tolist() == [3, 0, 1]


# --- what is reported -------------------------------------------------------------------------------------------------


class Told(Generator):
    """Draws plain pictures whose brightness is the first number of the condition."""

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
    """Takes bright pictures for real: the score is the brightness, in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))
        self.head = FeaturesAsLogits()

    def to_sample(self, images: Tensor, resolution: int, alpha: float) -> Tensor:
        return images

    def extract(self, sample: Tensor, resolution: int, alpha: float) -> Tensor:
        return self.factor * sample.mean(dim=(1, 2, 3))


def plain(brightness: list[int], told: list[float]) -> Batch:
    images = torch.tensor(brightness, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8).clone()
    nothing = torch.empty(len(told), 0, dtype=torch.int8)
    return {
        "images": images,
        "conditions": torch.tensor(told)[:, None],
        "attributes": nothing,
        "labeled": torch.ones(len(told)) > 0,
    }


def test_accuracies_are_the_shares_of_scores_on_the_right_side() -> None:
    system = system_of(ConditionalGenerator(nn.Identity(), None, Told()), Brightness())
    report = fit(system, plain([255, 200, 128, 127, 0, 255], [0.1, -0.2, 0.3, -0.4, 0.5, 0.6]))
    assert report["accuracy/real"] == pytest.approx(4 / 6)
    assert report["accuracy/fake"] == pytest.approx(2 / 6)
    assert report["score/real"] == pytest.approx(sum(each / 127.5 - 1 for each in (255, 200, 128, 127, 0, 255)) / 6)
    assert report["score/fake"] == pytest.approx(0.9 / 6)


def test_the_relativistic_generator_is_compared_with_real_faces() -> None:
    system = system_of(
        ConditionalGenerator(nn.Identity(), None, Told()), Brightness(), rates=(1.0, 0.0), loss=Relativistic()
    )
    brightness, told = [255, 200, 128, 127, 0, 255], [0.1, -0.2, 0.3, -0.4, 0.5, 0.6]
    report = fit(system, plain(brightness, told))
    pairs = [(real / 127.5 - 1) - fake for real, fake in zip(brightness, told, strict=True)]
    assert report["loss/generator"] == pytest.approx(sum(math.log1p(math.exp(each)) for each in pairs) / 6, rel=1e-5)
    # d/d factor of mean softplus(real - factor * told), at 1
    slope = sum(-fake / (1 + math.exp(-each)) for fake, each in zip(told, pairs, strict=True)) / 6
    assert system.networks.generator.factor.item() == pytest.approx(1 - slope, rel=1e-5)


@pytest.mark.parametrize(("seen", "taken"), [(0, True), (FACES, False), (2 * FACES, False), (3 * FACES, True)])
def test_a_lazy_penalty_is_taken_every_so_many_steps_of_the_clock(seen: int, taken: bool) -> None:
    system = system_of(
        ConditionalGenerator(nn.Identity(), None, Told()), Brightness(), penalties={"r1": R1(2.0, every=3)}
    )
    system.images_seen = seen
    report = fit(system, plain([255] * FACES, [0.0] * FACES))
    assert ("discriminator/r1" in report) == taken
    if taken:  # half the squared gradient of a mean of 192 numbers
        assert report["discriminator/r1"] == pytest.approx(1 / 2 / 192)


@pytest.mark.parametrize(("seen", "draws"), [(0, True), (FACES, False), (2 * FACES, True)])
def test_with_two_critic_steps_the_generator_learns_every_other_step(seen: int, draws: bool) -> None:
    system = growing(n_critic=2)
    system.images_seen = seen
    before = copy.deepcopy(system.networks.state_dict())
    report = fit(system, make_batch())
    assert ("loss/generator" in report) == draws
    changed = any(not torch.equal(value, before[name]) for name, value in system.networks.state_dict().items())
    assert changed == draws


def test_the_clock_counts_all_faces_described_or_not() -> None:
    system = growing()
    fit(system, make_batch(), make_batch(labeled=2))
    assert system.images_seen == 2 * FACES


# --- who learns -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("teacher", "rates"), [("generator", (1.0, 0.0)), ("discriminator", (0.0, 1.0))])
def test_the_encoder_learns_from_the_step_named_and_from_no_other(teacher: str, rates: tuple[float, float]) -> None:
    batch = make_batch()
    batch["conditions"] = torch.randint(1, 12, (FACES, 4), generator=torch.Generator().manual_seed(2))
    for given, learns in ((rates, True), (rates[::-1], False)):
        torch.manual_seed(3)
        encoder = LSTMEncoder(vocabulary=12, word_dim=4, hidden_dim=WORDS, layers=1)
        system = growing(encoder=encoder, encoder_learns_from=teacher, rates=given)
        before = copy.deepcopy(encoder.state_dict())
        fit(system, batch)
        changed = [not torch.equal(value, before[name]) for name, value in encoder.state_dict().items()]
        assert any(changed) == learns


@pytest.mark.parametrize("teacher", ["generator", "discriminator"])
@pytest.mark.parametrize("build", [growing, dcgan])
def test_an_encoder_that_does_not_learn_has_no_weights_and_is_no_hindrance(build: Any, teacher: str) -> None:
    system = build(encoder_learns_from=teacher)
    assert list(system.networks.encoder.parameters()) == []
    drawing, judging = ({id(p) for p in each.param_groups[0]["params"]} for each in system.configure_optimizers())
    assert drawing == {id(parameter) for parameter in system.networks.parameters()}
    assert judging == {id(parameter) for parameter in system.discriminator.parameters()}
    before = copy.deepcopy(system)
    fit(system, make_batch(), make_batch())
    for one, other in ((system.networks, before.networks), (system.discriminator, before.discriminator)):
        assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
        assert all(value.isfinite().all() for value in one.parameters())


# --- the average ------------------------------------------------------------------------------------------------------


def floats(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items() if value.is_floating_point()}


@pytest.mark.parametrize("build", [growing, dcgan])
def test_without_a_half_life_the_average_is_the_networks_themselves(build: Any) -> None:
    system = build(ema=EMA(0))
    before = floats(system.ema)
    fit(system, make_batch(), make_batch())
    assert all(torch.equal(value, floats(system.ema)[name]) for name, value in floats(system.networks).items())
    assert any(not torch.equal(value, before[name]) for name, value in floats(system.ema).items())


@pytest.mark.parametrize(
    ("half_life", "ramp", "beta"),
    [(FACES, 1e9, 0.5), (2 * FACES, 1e9, 0.5**0.5), (1e9, 2.0, 0.5**3)],  # at the start, the images seen count as 1
)
def test_the_average_follows_weights_and_batch_norms_statistics(half_life: float, ramp: float, beta: float) -> None:
    system = dcgan(ema=EMA(half_life, ramp))
    before = floats(system.ema)
    fit(system, make_batch())
    after, average = floats(system.networks), floats(system.ema)
    assert [name for name in after if name.endswith("running_mean") and after[name].any()]
    for name, value in average.items():
        torch.testing.assert_close(value, beta * before[name] + (1 - beta) * after[name], rtol=1e-5, atol=1e-7)


def test_sampling_draws_with_the_average_and_changes_nothing() -> None:
    system = dcgan(ema=EMA(FACES, 1e9))
    fit(system, make_batch(), make_batch())
    assert not any(part.training for part in system.ema.modules())
    kept = copy.deepcopy(system.state_dict())
    conditions, noise = make_batch()["conditions"], torch.randn(FACES, system.noise_dim)
    images = system.sample(conditions, noise)
    assert torch.equal(images, system.ema(conditions, noise, 8, 1.0))
    assert not torch.allclose(images, copy.deepcopy(system.networks).eval()(conditions, noise, 8, 1.0))
    assert not images.requires_grad
    torch.testing.assert_close(system.sample(conditions[:1], noise[:1]), images[:1])  # no face depends on another
    for name, value in system.state_dict().items():
        assert torch.equal(value, kept[name])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EMA(half_life=-1), r"half_life is -1: it must be 0 \(none\) or above"),
        (lambda: EMA(ramp=0), "ramp is 0"),
        (lambda: growing(n_critic=0), "n_critic is 0"),
        (lambda: growing(encoder_learns_from="both"), "encoder_learns_from is both"),
        (lambda: R1(-1.0), "weight is -1"),
        (lambda: R1(every=0), "every is 0"),
    ],
)
def test_arguments_out_of_range_are_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# --- learning rates ---------------------------------------------------------------------------------------------------


def test_the_schedules_factor_reaches_both_optimisers() -> None:
    system = growing(lr_schedule=lambda state: 0.25)
    fit(system, make_batch())
    for optimizer in system.both_optimizers():
        (rate,) = {group["lr"] for group in optimizer.param_groups}
        assert rate == pytest.approx(0.25 * optimizer.defaults["lr"])


def test_a_penalty_in_bfloat16_is_float32s_to_rounding() -> None:
    system = growing()
    faces, words = torch.randn(FACES, 3, 8, 8), torch.randn(FACES, WORDS)
    weights = [weight for name, weight in system.discriminator.named_parameters() if "from_rgb.0" not in name]

    def gradient(value: Tensor) -> Tensor:
        return torch.cat([each.flatten() for each in torch.autograd.grad(value, weights, materialize_grads=True)])

    def error(loss: Callable[[], Tensor]) -> tuple[float, float]:
        """Of the value and of the gradient, relative."""
        exact = loss()
        with torch.autocast("cpu", torch.bfloat16):
            rounded = loss()
        assert rounded.dtype == torch.float32
        slope, near = gradient(exact), gradient(rounded)
        assert not torch.equal(slope, near)
        return abs(rounded.item() / exact.item() - 1), float((near - slope).norm() / slope.norm())

    def discriminate(sample: Tensor, text: Tensor) -> DiscriminatorOutput:
        output: DiscriminatorOutput = system.discriminator(sample, text, 8, 1.0)
        return output

    labeled, attributes = torch.ones(FACES) > 0, torch.empty(FACES, 0)
    step = GANStep(discriminate, faces, faces.flip(0), words, words, None, labeled, attributes)
    for penalty in (R1(), WGANGP()):

        def taken(penalty: GradientPenalty = penalty) -> Tensor:
            torch.manual_seed(0)
            return penalty.discriminator_loss(step)

        value, slope = error(taken)
        assert value < 0.05  # bfloat16 rounds to 0.4 percent, in each of a dozen layers
        assert slope < 0.1


def test_a_penalty_beside_float16_is_taken_in_float32() -> None:
    with torch.autocast("cpu", torch.float16), penalty_precision("cpu"):
        assert not torch.is_autocast_enabled("cpu")
    with penalty_precision("cpu"):
        assert not torch.is_autocast_enabled("cpu")
    assert not torch.is_autocast_enabled("cpu")
