"""Each way to run faster gives the weights of the plain one, to rounding."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures.steps import FACES, dcgan, fit, growing, make_batch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch._dynamo.backends.registry import lookup_backend
from torch.fx import GraphModule

from t2f.objectives import R1
from t2f.training import base
from t2f.training.conditional_gan import ConditionalGAN
from t2f.training.growth_schedule import ScheduleState
from t2f.training.performance import AUTO, Performance
from t2f.utils.checkpoints import read_checkpoint
from t2f.utils.errors import UserError
from train import train

PLAIN = {"channels_last": False, "compile": False, "cuda_graphs": False}


def trained(build: Any, steps: int = 3, **choices: Any) -> ConditionalGAN:
    system: ConditionalGAN = build(
        performance=Performance(**PLAIN | choices), penalties={"r1": R1(1.0, every=2)}, rates=(0.1, 0.1)
    )
    fit(system, *(make_batch() for _ in range(steps)))
    return system


def assert_same_weights(one: ConditionalGAN, other: ConditionalGAN) -> None:
    assert list(one.state_dict()) == list(other.state_dict())
    torch.testing.assert_close(dict(one.state_dict()), dict(other.state_dict()), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("build", [growing, dcgan])
def test_channels_last_trains_as_channels_first(build: Any) -> None:
    first, last = trained(build), trained(build, channels_last=True)
    for system, layout in ((first, torch.contiguous_format), (last, torch.channels_last)):
        assert system.discriminator.memory_format == layout
        faces = system.sample(make_batch()["conditions"], torch.zeros(FACES, system.noise_dim))
        assert faces.is_contiguous(memory_format=layout)
    assert_same_weights(first, last)


@pytest.mark.parametrize("build", [growing, dcgan])
def test_copies_of_weights_in_bf16_are_never_old(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Autocast keeps them through a step, in the midst of which the discriminator changes."""

    def descent() -> Tensor:
        """The generator's, in one vector."""
        system: ConditionalGAN = build(rates=(1.0, 1.0), penalties={"r1": R1(1.0)})
        before = [weight.detach().clone() for weight in system.networks.parameters()]
        fit(system, make_batch(), precision="bf16-mixed")
        changes = zip(system.networks.parameters(), before, strict=True)
        return torch.cat([(after - weight).flatten() for after, weight in changes])

    keeping = descent()
    monkeypatch.setattr(base, "cached_autocast", lambda device: nullcontext())  # Lightning's own context keeps none
    casting = descent()
    assert not torch.equal(keeping, casting)  # sums of gradients are rounded elsewhere
    assert (keeping - casting).norm() < 0.1 * casting.norm()


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[GraphModule]:
    """What torch.compile has made code of; without the code generator, which takes minutes on a CPU."""
    made: list[GraphModule] = []
    aot_eager = lookup_backend("aot_eager")

    def backend(graph: GraphModule, inputs: Any) -> Any:
        made.append(graph)
        return aot_eager(graph, inputs)

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    torch.compiler.reset()
    return made


@pytest.mark.parametrize("build", [pytest.param(growing, marks=pytest.mark.slow), dcgan])
def test_compiled_networks_train_as_eager_ones(build: Any, graphs: list[GraphModule]) -> None:
    """With a gradient penalty, whose double backward compiled code cannot give."""
    compiled = trained(build, compile=True)
    made = len(graphs)
    assert made > 0
    assert_same_weights(trained(build), compiled)
    fit(compiled, make_batch(), make_batch())  # a second time in one process
    assert len(graphs) == made


@pytest.mark.slow
def test_fading_needs_no_new_code(graphs: list[GraphModule], monkeypatch: pytest.MonkeyPatch) -> None:
    def faded(**choices: bool) -> ConditionalGAN:
        system = growing(performance=Performance(**PLAIN | choices))

        def next_step(batch: Any, number: int) -> None:
            made.append(len(graphs))
            system.schedule_state = ScheduleState(0, 8, alphas[number], FACES, progress=0.5, images_seen=0)

        monkeypatch.setattr(system, "on_train_batch_start", next_step)
        fit(system, *(make_batch() for _ in alphas))
        return system

    alphas, made = [0.1, 0.2, 0.7, 0.9], list[int]()
    compiled = faded(compile=True)
    assert made == [0, *[len(graphs)] * 3] and graphs
    assert_same_weights(faded(), compiled)


@pytest.mark.slow
def test_a_run_grows_in_compiled_code(
    tiny: Callable[..., DictConfig], tmp_path: Path, graphs: list[GraphModule]
) -> None:
    """Both stages and the fade between them, set by Hydra. With Adam's own eps, rounding decides the sign of a step."""
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
@pytest.mark.skipif(not shutil.which("g++"), reason="without a compiler there is no compiled code")
def test_compiled_code_draws_the_numbers_of_eager_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch._inductor.config, "fallback_random", False)
    torch.compiler.reset()
    system = growing()
    networks = (system.networks.generator, system.ema.generator, system.discriminator)
    Performance(False, True, False).apply(*networks, torch.device("cpu"))

    def draw(count: Tensor) -> Tensor:
        return torch.rand_like(count) + 1

    drawn = []
    for function in (draw, torch.compile(draw)):
        torch.manual_seed(0)
        drawn.append(function(torch.empty(8)))
    assert torch.equal(*drawn)


@pytest.mark.parametrize(
    ("compile", "graphs", "options"),
    [
        (True, False, {}),
        (False, True, {"backend": "cudagraphs"}),
        (True, True, {"mode": "reduce-overhead"}),
    ],
)
def test_networks_go_through_what_was_asked_for(
    compile: bool, graphs: bool, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    system, compiled = growing(), list[tuple[str, dict[str, str]]]()
    monkeypatch.setattr(torch, "compile", lambda method, **given: compiled.append((method.__name__, given)) or method)
    networks = (system.networks.generator, system.ema.generator, system.discriminator)
    Performance(False, compile, graphs).apply(*networks, torch.device("cuda"))
    assert compiled == [("forward", options), ("extract", options), ("conditional_logits", options)]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_second_derivatives_are_taken_in_the_precision_of_their_penalty(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss goes back inside of Lightning's autocast, where a penalty in float32 has ended."""

    def descent(autocast: bool) -> list[Tensor]:
        system = growing()
        weight = nn.Parameter(torch.randn(8, 8, generator=torch.Generator().manual_seed(0)))
        pictures = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
        optimizer = torch.optim.SGD([weight], lr=1.0)
        monkeypatch.setattr(system, "manual_backward", lambda loss: loss.backward())
        with torch.autocast("cpu", dtype, enabled=autocast):
            with torch.autocast("cpu", enabled=False):
                penalty = R1().penalty(lambda x: nn.functional.linear(x, weight).tanh().sum(dim=1), pictures, pictures)
            system.descend(penalty, optimizer)
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
def test_auto_lays_maps_out_as_the_device_likes_them(
    device: str, capability: tuple[int, int] | None, layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert Performance(AUTO, AUTO, AUTO).memory_format(torch.device(device)) == layout


def test_what_cannot_be_is_told() -> None:
    with pytest.raises(ValueError, match=r"^compile is yes: it must be true, false or auto\.$"):
        Performance(compile="yes")
    with pytest.raises(UserError, match=r"^performance.cuda_graphs=true needs a CUDA GPU, not cpu: "):
        trained(growing, cuda_graphs=True)
