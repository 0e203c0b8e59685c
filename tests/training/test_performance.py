"""Memory format, compilation and CUDA graphs give the same weights up to rounding."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures.tiny_gans import BATCH_SIZE, dcgan, fit, make_batch, progressive
from omegaconf import DictConfig
from torch import Tensor, nn
from torch._dynamo.backends.registry import lookup_backend
from torch.fx import GraphModule

from t2f.cli.train import train
from t2f.objectives import R1
from t2f.training import base
from t2f.training.conditional_gan import ConditionalGAN
from t2f.training.growth_schedule import ScheduleState
from t2f.training.performance import AUTO, Performance
from t2f.utils.checkpoints import read_checkpoint
from t2f.utils.errors import UserError

PLAIN = {"channels_last": False, "compile": False, "cuda_graphs": False}


def trained(build: Any, steps: int = 3, **choices: Any) -> ConditionalGAN:
    model: ConditionalGAN = build(
        performance=Performance(**PLAIN | choices), penalties={"r1": R1(1.0, every=2)}, rates=(0.1, 0.1)
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


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[GraphModule]:
    """Record the graphs that torch.compile captures, without generating code, which takes minutes on a CPU."""
    captured: list[GraphModule] = []
    aot_eager = lookup_backend("aot_eager")

    def backend(graph: GraphModule, inputs: Any) -> Any:
        captured.append(graph)
        return aot_eager(graph, inputs)

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    torch.compiler.reset()
    return captured


@pytest.mark.parametrize("build", [pytest.param(progressive, marks=pytest.mark.slow), dcgan])
def test_compiled_networks_train_like_eager_ones(build: Any, graphs: list[GraphModule]) -> None:
    """With a gradient penalty, whose double backward is not supported in compiled code."""
    compiled = trained(build, compile=True)
    made = len(graphs)
    assert made > 0
    assert_same_weights(trained(build), compiled)
    fit(compiled, make_batch(), make_batch())  # a second fit in the same process
    assert len(graphs) == made


@pytest.mark.slow
def test_fade_in_does_not_recompile(graphs: list[GraphModule], monkeypatch: pytest.MonkeyPatch) -> None:
    def faded(**choices: bool) -> ConditionalGAN:
        model = progressive(performance=Performance(**PLAIN | choices))

        def next_step(batch: Any, number: int) -> None:
            made.append(len(graphs))
            model.schedule_state = ScheduleState(0, 8, alphas[number], BATCH_SIZE, progress=0.5, images_seen=0)

        monkeypatch.setattr(model, "on_train_batch_start", next_step)
        fit(model, *(make_batch() for _ in alphas))
        return model

    alphas, made = [0.1, 0.2, 0.7, 0.9], list[int]()
    compiled = faded(compile=True)
    assert made == [0, *[len(graphs)] * 3] and graphs
    assert_same_weights(faded(), compiled)


@pytest.mark.slow
def test_a_compiled_run_grows(tiny: Callable[..., DictConfig], tmp_path: Path, graphs: list[GraphModule]) -> None:
    """Both stages and the fade-in between them. With Adam's default eps, rounding decides the sign of a step."""
    weights, made = [], []
    eps = [f"model.optimizers.{network}.eps=0.01" for network in ("generator", "discriminator")]
    for compile in (False, True):
        run = [f"performance.compile={compile}", "performance.precision=32-true", f"paths.run={tmp_path}/{compile}"]
        train(tiny(*run, *eps))
        made.append(len(graphs))
        weights.append(read_checkpoint(tmp_path / f"{compile}/checkpoints/last.ckpt")["state_dict"])
    assert made[0] == 0 and made[1] >= 6  # generator and discriminator at 4x4, fading to 8x8, and at 8x8
    torch.testing.assert_close(*weights, rtol=1e-5, atol=2e-6)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
def test_compiled_code_generates_the_random_numbers_of_eager_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch._inductor.config, "fallback_random", False)
    torch.compiler.reset()
    model = progressive()
    networks = (model.networks.generator, model.ema.generator, model.discriminator)
    Performance(False, True, False).apply(*networks, torch.device("cpu"))

    def sample(like: Tensor) -> Tensor:
        return torch.rand_like(like) + 1

    samples = []
    for function in (sample, torch.compile(sample)):
        torch.manual_seed(0)
        samples.append(function(torch.empty(8)))
    assert torch.equal(*samples)


@pytest.mark.parametrize(
    ("compile", "graphs", "options"),
    [
        (True, False, {}),
        (False, True, {"backend": "cudagraphs"}),
        (True, True, {"mode": "reduce-overhead"}),
    ],
)
def test_networks_are_compiled_with_the_configured_options(
    compile: bool, graphs: bool, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, compiled = progressive(), list[tuple[str, dict[str, str]]]()
    monkeypatch.setattr(torch, "compile", lambda method, **given: compiled.append((method.__name__, given)) or method)
    networks = (model.networks.generator, model.ema.generator, model.discriminator)
    Performance(False, compile, graphs).apply(*networks, torch.device("cuda"))
    assert compiled == [("forward", options), ("extract", options), ("conditional_logits", options)]


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
    assert Performance(AUTO, AUTO, AUTO).memory_format(torch.device(device)) == layout


def test_invalid_settings_are_errors() -> None:
    with pytest.raises(ValueError, match=r"^compile is yes: it must be true, false or auto\.$"):
        Performance(compile="yes")
    with pytest.raises(UserError, match=r"^performance.cuda_graphs=true needs a CUDA GPU, not cpu: "):
        trained(progressive, cuda_graphs=True)
