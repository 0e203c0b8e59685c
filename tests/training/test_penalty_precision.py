"""Gradient penalties in mixed precision."""

from collections.abc import Callable

import torch
from fixtures.tiny_gans import BATCH_SIZE, TEXT_DIM, progressive
from torch import Tensor

from t2f.networks.base import DiscriminatorOutput
from t2f.objectives import R1, WGANGP, GANStep, GradientPenalty
from t2f.objectives.penalties import penalty_precision


def test_penalties_in_bfloat16_equal_float32_up_to_rounding() -> None:
    model = progressive()
    images, text_embedding = torch.randn(BATCH_SIZE, 3, 8, 8), torch.randn(BATCH_SIZE, TEXT_DIM)
    weights = [weight for name, weight in model.discriminator.named_parameters() if "from_rgb.0" not in name]

    def gradient(value: Tensor) -> Tensor:
        return torch.cat([part.flatten() for part in torch.autograd.grad(value, weights, materialize_grads=True)])

    def error(loss: Callable[[], Tensor]) -> tuple[float, float]:
        """Return the relative errors of the loss and of its gradient."""
        exact = loss()
        with torch.autocast("cpu", torch.bfloat16):
            rounded = loss()
        assert rounded.dtype == torch.float32
        exact_gradient, rounded_gradient = gradient(exact), gradient(rounded)
        assert not torch.equal(exact_gradient, rounded_gradient)
        gradient_error = (rounded_gradient - exact_gradient).norm() / exact_gradient.norm()
        return abs(rounded.item() / exact.item() - 1), float(gradient_error)

    def discriminate(sample: Tensor, text: Tensor) -> DiscriminatorOutput:
        output: DiscriminatorOutput = model.discriminator(sample, text, 8, 1.0)
        return output

    labeled, attributes = torch.ones(BATCH_SIZE) > 0, torch.empty(BATCH_SIZE, 0)
    step = GANStep(discriminate, images, images.flip(0), text_embedding, text_embedding, None, labeled, attributes)
    for penalty in (R1(), WGANGP()):

        def compute(penalty: GradientPenalty = penalty) -> Tensor:
            torch.manual_seed(0)
            return penalty.discriminator_loss(step)

        value_error, gradient_error = error(compute)
        assert value_error < 0.05  # bfloat16 rounds to 0.4 percent, in each of a dozen layers
        assert gradient_error < 0.1


def test_penalties_use_float32_under_float16_autocast() -> None:
    with torch.autocast("cpu", torch.float16), penalty_precision("cpu"):
        assert not torch.is_autocast_enabled("cpu")
    with penalty_precision("cpu"):
        assert not torch.is_autocast_enabled("cpu")
    assert not torch.is_autocast_enabled("cpu")
