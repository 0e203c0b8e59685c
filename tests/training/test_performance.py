"""Memory format, TF32 and when CUDA graphs are used."""

import re
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from fixtures.tiny_gans import BATCH_SIZE, dcgan, fit, make_batch, progressive
from torch import Tensor, nn

from t2f.objectives import R1
from t2f.training import base
from t2f.training.conditional_gan import ConditionalGAN
from t2f.training.performance import AUTO, Performance
from t2f.utils.errors import UserError


def trained(build: Any, steps: int = 3, **choices: Any) -> ConditionalGAN:
    model: ConditionalGAN = build(
        performance=Performance(**{"channels_last": False} | choices),
        penalties={"r1": R1(1.0, every=2)},
        rates=(0.1, 0.1),
    )
    fit(model, *(make_batch() for _ in range(steps)))
    return model


def assert_same_weights(one: ConditionalGAN, other: ConditionalGAN) -> None:
    assert list(one.state_dict()) == list(other.state_dict())
    torch.testing.assert_close(dict(one.state_dict()), dict(other.state_dict()), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("build", [progressive, dcgan])
def test_channels_last_trains_like_channels_first(build: Any) -> None:
    first, last = trained(build), trained(build, channels_last=True)
    for model, layout in ((first, torch.contiguous_format), (last, torch.channels_last)):
        assert model.discriminator.memory_format == layout
        samples = model.sample(make_batch()["conditions"], torch.zeros(BATCH_SIZE, model.noise_dim))
        assert samples.is_contiguous(memory_format=layout)
    assert_same_weights(first, last)


@pytest.mark.parametrize("build", [progressive, dcgan])
def test_cached_bf16_weights_are_never_stale(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Autocast caches them for the whole step, in which the discriminator changes."""

    def descent() -> Tensor:
        """Return the generator's change, flattened."""
        model: ConditionalGAN = build(rates=(1.0, 1.0), penalties={"r1": R1(1.0)})
        before = [weight.detach().clone() for weight in model.networks.parameters()]
        fit(model, make_batch(), precision="bf16-mixed")
        changes = zip(model.networks.parameters(), before, strict=True)
        return torch.cat([(after - weight).flatten() for after, weight in changes])

    cached = descent()
    monkeypatch.setattr(base, "cached_autocast", lambda device: nullcontext())  # Lightning's own autocast has no cache
    uncached = descent()
    assert not torch.equal(cached, uncached)  # sums of gradients are rounded differently
    assert (cached - uncached).norm() < 0.1 * uncached.norm()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_second_derivatives_use_the_precision_of_the_penalty(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backward pass runs under Lightning's autocast, although the penalty was computed in float32."""

    def descent(autocast: bool) -> list[Tensor]:
        model = progressive()
        weight = nn.Parameter(torch.randn(8, 8, generator=torch.Generator().manual_seed(0)))
        samples = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
        optimizer = torch.optim.SGD([weight], lr=1.0)
        monkeypatch.setattr(model, "manual_backward", lambda loss: loss.backward())
        with torch.autocast("cpu", dtype, enabled=autocast):
            with torch.autocast("cpu", enabled=False):
                penalty = R1().penalty(lambda x: nn.functional.linear(x, weight).tanh().sum(dim=1), samples, samples)
            model.descend(penalty, optimizer)
        return [weight.detach()]

    torch.testing.assert_close(descent(autocast=True), descent(autocast=False), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("device", "capability", "layout"),
    [
        ("cpu", None, torch.channels_last),
        ("mps", None, torch.contiguous_format),
        ("cuda", (7, 5), torch.contiguous_format),
        ("cuda", (8, 0), torch.channels_last),
        ("cuda", (9, 0), torch.channels_last),
    ],
)
def test_auto_selects_the_memory_format_by_device(
    device: str, capability: tuple[int, int] | None, layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert Performance().memory_format(torch.device(device)) == layout


def test_tf32_is_set_on_gpus_during_training_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    model = progressive()
    networks = (model.networks.generator, model.ema.generator, model.discriminator)

    def state() -> tuple[str, bool]:
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32

    before = state()
    for tf32, device, expected in (
        (True, "cuda", ("high", True)),
        (False, "cuda", ("highest", False)),
        (True, "cpu", before),
    ):
        performance = Performance(tf32=tf32)
        performance.apply(*networks, torch.device(device))
        assert state() == expected
        performance.reset(torch.device(device))
        assert state() == before


CUDA, CPU = torch.device("cuda"), torch.device("cpu")
OBSTACLES = {
    "needs a CUDA GPU, not cpu": (CPU, 1, "bf16-mixed", True),
    "works in one process, not in 2": (CUDA, 2, "bf16-mixed", True),
    "does not work with performance.precision=16-mixed": (CUDA, 1, "16-mixed", True),
    "needs optimizers with capturable or fused=true, such as torch.optim.Adam": (CUDA, 1, "bf16-mixed", False),
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_graphs_are_used_where_they_can_be(obstacle: str) -> None:
    assert not Performance().uses_graphs(*OBSTACLES[obstacle])
    message = f"performance.cuda_graphs=true {obstacle}: leave it at auto."
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        Performance(cuda_graphs=True).uses_graphs(*OBSTACLES[obstacle])
    for choice in (AUTO, True, False):
        assert Performance(cuda_graphs=choice).uses_graphs(CUDA, 1, "bf16-mixed", True) == (choice is not False)


def test_a_run_that_cannot_be_recorded_ends_before_it_starts() -> None:
    with pytest.raises(UserError, match=r"^performance.cuda_graphs=true needs a CUDA GPU, not cpu: "):
        trained(progressive, cuda_graphs=True)


def test_invalid_settings_are_errors() -> None:
    with pytest.raises(ValueError, match=r"^cuda_graphs is yes: it must be true, false or auto\.$"):
        Performance(cuda_graphs="yes")
    with pytest.raises(ValueError, match=r"^tf32 is auto: it must be true or false\.$"):
        Performance(tf32="auto")  # type: ignore[arg-type]
