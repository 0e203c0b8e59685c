"""Recorded training steps, on CPUs by a stand-in for CUDA graphs."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from fixtures.networks import dcgan, loss_of, multiscale, progressive, token_batch
from fixtures.recorded_runs import FLOAT32, NAMES, Tiny, middle_of, run
from fixtures.tape import NotRecordable, Tape, recorded_steps
from fixtures.tiny_gans import STATE, TEXT_DIM, make_batch
from test_train import assert_equal, rows
from torch import Tensor, nn

from t2f.objectives import penalties
from t2f.text.lstm import LSTMEncoder
from t2f.training.batches.batch import Batch
from t2f.training.conditional_gan import ConditionalGAN
from t2f.training.ema import EMA
from t2f.training.step_graphs import StepGraphs, tensors_of
from t2f.training.step_plan import StepPlan
from t2f.utils.checkpoints import CHECKPOINT_KEY


@pytest.mark.parametrize("name", NAMES)
def test_replayed_steps_equal_eager_ones_to_the_bit(tiny: Tiny, tmp_path: Path, name: str) -> None:
    """Also after a resume in the middle of a stage, while its layers fade in."""
    ends = []
    for repeats in (False, True):
        with recorded_steps(repeats) as recorders:
            ends.append(run(tiny, tmp_path / str(repeats), name))
        (recorder,) = recorders
        assert recorder.recorded >= 1
    assert_equal(ends[0]["state_dict"], ends[1]["state_dict"])
    assert_equal(ends[0]["optimizer_states"], ends[1]["optimizer_states"])
    assert ends[0][CHECKPOINT_KEY]["not_yet_logged"] == ends[1][CHECKPOINT_KEY]["not_yet_logged"]

    middle = tmp_path / f"True/checkpoints/{middle_of(name):09d}.ckpt"
    with recorded_steps():
        resumed = run(tiny, tmp_path / "resumed", name, f"ckpt_path={middle}")
    assert_equal(ends[1]["state_dict"], resumed["state_dict"])
    assert_equal(ends[1]["optimizer_states"], resumed["optimizer_states"])


def test_recorded_runs_and_plain_ones_continue_each_other(tiny: Tiny, tmp_path: Path) -> None:
    """They differ by rounding, and their checkpoints not in form."""
    plain = run(tiny, tmp_path / "plain", *FLOAT32)
    with recorded_steps():
        recorded = run(tiny, tmp_path / "recorded", *FLOAT32)
    assert recorded["global_step"] == plain["global_step"]
    assert_equal(form_of(recorded), form_of(plain))
    (one, other) = (rows(tmp_path / folder) for folder in ("plain", "recorded"))
    for expected, found in zip(one, other, strict=True):
        for column in (each for each in expected if each.startswith(("gradient_norm", "loss")) and expected[each]):
            assert float(found[column]) == pytest.approx(float(expected[column]), rel=1e-3), column

    middle = f"checkpoints/{middle_of('growing'):09d}.ckpt"
    with recorded_steps():
        continued = run(tiny, tmp_path / "continued", *FLOAT32, f"ckpt_path={tmp_path}/plain/{middle}")
    ends = [recorded, continued, run(tiny, tmp_path / "back", *FLOAT32, f"ckpt_path={tmp_path}/recorded/{middle}")]
    for end in ends:
        torch.testing.assert_close(end["state_dict"], plain["state_dict"], rtol=1e-4, atol=1e-5)


def form_of(values: Any) -> Any:
    """Return the shapes and dtypes of tensors and the types of all else, in the same containers."""
    if isinstance(values, dict):
        return {key: form_of(value) for key, value in values.items() if key != "not_yet_logged"}
    if isinstance(values, list | tuple):
        return [form_of(value) for value in values]
    return f"{values.dtype} {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__


# --- the kinds of steps -----------------------------------------------------------------------------------------------


class Calls:
    """A recorder that counts, and a step that notes what it is given."""

    def __init__(self) -> None:
        self.resets, self.warm_ups, self.records, self.replays = 0, 0, 0, 0
        self.steps: list[tuple[Batch, StepPlan]] = []

    def reset(self) -> None:
        self.resets += 1

    def warm_up(self, function: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
        self.warm_ups += 1
        return function()

    def record(self, function: Callable[[], tuple[str, ...]]) -> tuple[Callable[[], None], tuple[str, ...]]:
        self.records += 1
        return self.replay, function()

    def replay(self) -> None:
        self.replays += 1

    def step(self, batch: Batch, plan: StepPlan) -> tuple[str, ...]:
        self.steps.append((batch, plan))
        return tuple(sorted(plan.due))

    def counts(self) -> tuple[int, int, int]:
        return self.warm_ups, self.records, self.replays


PLAN = StepPlan(resolution=8, alpha=0.5, due=frozenset({"r1"}), trains_generator=True, ema_weight=0.1)


def graphs_of(calls: Calls, parameters: Iterable[nn.Parameter] = ()) -> StepGraphs:
    return StepGraphs(calls, parameters, torch.device("cpu"))


def test_a_step_runs_once_is_recorded_once_and_then_replayed() -> None:
    calls = Calls()
    graphs = graphs_of(calls)
    for number, alpha in enumerate((0.0, 0.25, 0.5, 0.75)):
        batch = make_batch()
        batch["images"].fill_(number)
        plan = replace(PLAN, alpha=alpha, ema_weight=alpha / 2)
        assert graphs.take(calls.step, batch, plan) == ("r1",)
        (place, planned), *_ = calls.steps
        assert (planned.alpha, planned.ema_weight) == (alpha, alpha / 2)  # 0-d tensors, written before each step
        assert (place["images"] == number).all() and place["images"] is not batch["images"]
    assert calls.counts() == (1, 1, 3)
    assert graphs.replays == 2  # the step that is recorded counts its own optimizer steps


@pytest.mark.parametrize(
    ("change", "frees"),
    [
        ({"due": frozenset[str]()}, False),
        ({"trains_generator": False}, False),
        ({"resolution": 16}, True),
        ({"alpha": 1.0}, True),
    ],
)
def test_each_kind_of_step_has_a_recording(change: dict[str, Any], frees: bool) -> None:
    calls = Calls()
    graphs = graphs_of(calls)
    for plan in [PLAN, PLAN, replace(PLAN, **change), replace(PLAN, **change)]:
        graphs.take(calls.step, make_batch(), plan)
    assert calls.counts() == (2, 2, 2)
    assert calls.resets == 1 + frees  # the first step resets, too
    assert len(graphs.recordings) == (1 if frees else 2)
    assert calls.steps[-1][1].alpha == change.get("alpha", 0.5)


def test_another_batch_size_frees_the_recordings() -> None:
    calls = Calls()
    graphs, small = graphs_of(calls), {name: values[:2] for name, values in tensors_of(make_batch()).items()}
    for batch in (make_batch(), make_batch(), small):
        graphs.take(calls.step, cast(Batch, batch), PLAN)
    assert (calls.counts(), calls.resets) == ((2, 1, 1), 2)


def test_gradients_of_the_last_replays_can_be_read() -> None:
    calls, weights = Calls(), [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    graphs = graphs_of(calls, weights)

    def step(batch: Batch, plan: StepPlan) -> tuple[str, ...]:
        """Leave a new gradient at the discriminator's weight, and at the generator's if that is trained."""
        for weight in weights[0 if plan.trains_generator else 1 :]:
            weight.grad = torch.full((1,), 1.0 + len(calls.steps))
        return calls.step(batch, plan)

    without = replace(PLAN, trains_generator=False)
    for plan in (PLAN, PLAN, without, without):
        graphs.take(step, make_batch(), plan)
    found = {}
    for plan in (PLAN, without, PLAN):
        graphs.take(step, make_batch(), plan)
        graphs.restore_gradients()
        found[plan.trains_generator] = [float(weight.grad) for weight in weights if weight.grad is not None]
    assert found == {False: [2, 4], True: [2, 2]}  # those of the second and the fourth step, which were recorded


# --- what cannot be recorded ------------------------------------------------------------------------------------------

OUTSIDE = torch.ones(3)
REFUSED: dict[str, tuple[Callable[[Tensor], object], str]] = {
    "item": (lambda x: x.sum().item(), "waits for the device"),
    "float": (lambda x: float(x.sum()), "waits for the device"),
    "bool": (lambda x: bool((x > 0).all()), "waits for the device"),
    "a comparison in Python": (lambda x: x if x.sum() > 0 else -x, "waits for the device"),
    "a slice by a value": (lambda x: x[: x.long().max()], "waits for the device"),
    "equal": (lambda x: torch.equal(x, x + 1), "waits for the device"),
    "nonzero": (lambda x: x.nonzero(), "shape that depends on values"),
    "a mask": (lambda x: x[x > 0], "shape that depends on values"),
    "masked_select": (lambda x: x.masked_select(x > 0), "shape that depends on values"),
    "unique": (lambda x: x.unique(), "shape that depends on values"),
    "a tensor of Python's numbers": (lambda x: x + torch.tensor([1.0, 2.0, 3.0]), "a value of Python"),
    "a tensor of NumPy's numbers": (lambda x: x + torch.from_numpy(np.ones(3, np.float32)), "a value of Python"),
    "a tensor that was not given": (lambda x: x + OUTSIDE, "from outside"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_stand_in_refuses(name: str) -> None:
    function, message = REFUSED[name]
    x = torch.tensor([1.0, 2.0, 0.0])
    function(x)
    with pytest.raises(NotRecordable, match=message), Tape(lambda: [x]):
        function(x)


@pytest.mark.parametrize("make", [lambda: torch.arange(3), lambda: torch.zeros(()), lambda: torch.rand(3)])
def test_the_stand_in_refuses_tensors_without_a_device(make: Callable[[], Tensor]) -> None:
    with pytest.raises(NotRecordable, match="makes a tensor on cpu"), Tape(lambda: [], device="meta"):
        make()


def test_the_stand_in_repeats_operations_with_the_numbers_of_the_recording() -> None:
    x, weight, number = torch.ones(2, 2), nn.Parameter(torch.ones(2)), 2.0
    with Tape(lambda: [x, weight]) as tape:
        y = (x @ weight * number + torch.where(x > 1, x, 0.0).sum(1) + torch.rand(2) * 0).split(1)
        sum(y).sum().backward()
        weight.grad.add_(1)
    x.fill_(3)
    number = 5.0
    tape.replay()
    assert [float(part) for part in y] == [2 * 6 + 6, 2 * 6 + 6]
    assert weight.grad.tolist() == [2 * 6 + 1] * 2


@pytest.mark.parametrize("loss", ["wgan_gp", "relativistic"])
@pytest.mark.parametrize("build", [progressive, multiscale, dcgan])
def test_a_step_makes_no_tensor_on_the_cpu(build: Any, loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the meta device, where tensors have no values and autocast does not exist."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *_: False)
    monkeypatch.setattr(penalties, "penalty_precision", lambda device: nullcontext())
    torch.manual_seed(0)
    encoder = LSTMEncoder(9, 4, TEXT_DIM + 1, 2, bidirectional=True)
    encoder = nn.Sequential(encoder, nn.Linear(TEXT_DIM + 1, TEXT_DIM))
    policy = ["color", "translation", "cutout"]
    model: ConditionalGAN = build(encoder=encoder, policy=policy, ema=EMA(100), **loss_of(loss)).to("meta")
    model.trainer = SimpleNamespace(world_size=1)  # type: ignore[assignment]  # a stand-in
    makers = [torch.optim.SGD(network.parameters()) for network in (model.networks, model.discriminator)]
    monkeypatch.setattr(model, "both_optimizers", lambda: makers)
    monkeypatch.setattr(model, "manual_backward", lambda loss: loss.backward())
    model.schedule_state = replace(STATE, alpha=0.5)
    batch = {name: values.to("meta") for name, values in tensors_of(token_batch()).items()}
    alpha, weight = torch.zeros((), device="meta"), torch.zeros((), device="meta")
    plan = replace(model.plan(0), alpha=alpha, ema_weight=weight)
    known = [*model.parameters(), *model.buffers(), *batch.values(), alpha, weight]
    with Tape(lambda: known, device="meta") as tape:
        report = model.train_on(cast(Batch, batch), plan)
    assert len(tape.calls) > 500
    assert {value.device.type for value in report.values()} == {"meta"}
