"""What takes turns: training steps of ours, of T2F's own engine, and of faCeGAN's network written plainly."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor

from t2f.objectives import Conditional, GANStep, GradientPenalty
from t2f.training.batches.batch import Batch
from t2f.training.conditional_gan import ConditionalGAN, nearest_different
from t2f.training.growth_schedule import ScheduleState
from t2f.training.resolvers import fast_precision, register_resolvers
from t2f.utils.errors import UserError
from t2f.utils.images import to_float

ROOT = Path(__file__).parents[2]
EMBEDDING = 256
ATTRIBUTES = 18
# T2F's engine begins at embeddings, so ours does too.
EMBEDDINGS = [
    "conditioning.encoder={_target_: torch.nn.Identity}",
    f"conditioning.embedding_dim={EMBEDDING}",
]
RECIPE = ["experiment=t2f_original", *EMBEDDINGS]
JOINT = ["experiment=pretrained", *EMBEDDINGS]
FACEGAN = ["experiment=facegan_original", "conditioning.size=2"]
T2FS, SMALLER = (256, 256, 256, 256, 128, 64, 32), (128, 96, 64, 32, 16, 8, 4)  # channels at 4x4, 8x8, ... 256x256
EVERY = 8
"""Steps from one lazy penalty of the default to the next."""
DUE, NOT_DUE = 0, 1
"""Numbers of steps at which it is due, and is not."""
FLOAT32 = "32-true"
Step = Callable[[], None]
NumberedStep = Callable[[int], None]
"""A step by its number, counted from 0, which tells whether a lazy penalty is due."""


def system_of(overrides: Sequence[str], device: torch.device) -> ConditionalGAN:
    """The system that train.py would train with these overrides, with its optimisers, outside Lightning."""
    register_resolvers()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides=["paths.run=unused", f"num_attributes={ATTRIBUTES}", *overrides])
    torch.manual_seed(0)
    system: ConditionalGAN = instantiate(cfg.model, metadata={}, _convert_="all").to(device)
    system.trainer = SimpleNamespace(world_size=1, precision="")  # type: ignore[assignment]  # a stand-in
    optimizers = system.configure_optimizers()
    system.both_optimizers = lambda: optimizers  # type: ignore[method-assign,assignment,return-value]  # bare
    system.manual_backward = lambda loss: loss.backward()  # type: ignore[method-assign,misc]  # bare
    system.count_optimizer_steps = lambda plan: None  # type: ignore[method-assign]  # bare
    system.on_fit_start()
    return system


def in_precision(name: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Lightning's precision of this name, around a step."""
    if name == FLOAT32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, {"bf16-mixed": torch.bfloat16}[name])


def precisions(device: torch.device) -> list[str]:
    """float32, and what `trainer.precision` is by itself on this device, if that is another."""
    return list(dict.fromkeys([FLOAT32, fast_precision("cuda" if device.type == "cuda" else "cpu")]))


def made_up_batch(count: int, resolution: int, numbers: int, device: torch.device) -> Batch:
    """Noise for pictures and conditions: the arithmetic does not depend on what is seen."""
    return {
        "images": torch.randint(0, 256, (count, 3, resolution, resolution), dtype=torch.uint8, device=device),
        "conditions": torch.randn(count, numbers, device=device),
        "attributes": torch.randint(-1, 2, (count, ATTRIBUTES), dtype=torch.int8, device=device),
        "labeled": torch.ones(count, dtype=torch.bool, device=device),
    }


def stand_at(system: ConditionalGAN, resolution: int, batch: int, alpha: float = 0.5) -> None:
    """By default in the midst of a fade, where old and new layers are both at work, as always in T2F's engine."""
    alpha = alpha if system.grows and resolution > 4 else 1.0
    system.schedule_state = ScheduleState(0, resolution, alpha, batch, progress=0.5, images_seen=0)


def our_step(
    overrides: Sequence[str],
    batch: int,
    device: torch.device,
    precision: str,
    numbers: int = EMBEDDING,
    graphs: bool = False,
) -> tuple[ConditionalGAN, NumberedStep]:
    """Our system, and its step as it trains: eager, or recorded at its second call and replayed from then on."""
    system = system_of([*overrides, f"performance.cuda_graphs={'auto' if graphs else 'false'}"], device)
    if graphs:
        system.on_train_start()
    faces = made_up_batch(batch, system.max_resolution, numbers, device)

    def step(number: int) -> None:
        system.images_seen = number * batch
        with in_precision(precision, device):
            system.training_step(faces, number)

    return system, step


def ours(
    overrides: Sequence[str],
    resolution: int,
    batch: int,
    device: torch.device,
    precision: str,
    numbers: int = EMBEDDING,
    number: int = 1,
) -> Step:
    """The step of this number."""
    system, step = our_step(overrides, batch, device, precision, numbers)
    stand_at(system, resolution, batch)
    return partial(step, number)


def steps_of_a_cycle(system: ConditionalGAN) -> int:
    """As few as show what training costs: from one penalty to the next."""
    return max(term.every for term in system.objectives.values())


def in_a_row(step: NumberedStep, count: int) -> Step:
    def steps() -> None:
        for number in range(count):
            step(number)

    return steps


def cycle(
    overrides: Sequence[str], resolution: int, batch: int, device: torch.device, precision: str
) -> tuple[Step, int]:
    """The steps of a cycle as one, and how many they are."""
    system, step = our_step(overrides, batch, device, precision)
    stand_at(system, resolution, batch)
    count = steps_of_a_cycle(system)
    return in_a_row(step, count), count


def step_in_the_engines_passes(system: ConditionalGAN, faces: Batch) -> None:
    """Our networks, loss, penalty, optimizers and average, but each pass that T2F's engine makes, and nothing shared.

    The fakes are generated twice, real faces pass a second time with mismatched text, and the generator's step takes
    the gradients of the discriminator's weights too, which nobody uses.
    """
    resolution, alpha, judge = system.schedule_state.resolution, system.schedule_state.alpha, system.discriminator
    for_generator, for_discriminator = system.both_optimizers()
    text, labeled = faces["conditions"], faces["labeled"]
    noise = torch.randn(len(text), system.noise_dim, device=system.device)

    def generate() -> Tensor:
        return system.networks.generate(text, noise, resolution, alpha)[0]

    def logits(sample: Tensor, text: Tensor) -> Tensor:
        return judge(sample, text, resolution, alpha).conditional_logits

    conditional, mismatched = (system.objectives[name] for name in ("conditional", "mismatched"))
    assert isinstance(conditional, Conditional)
    real, fake = judge.to_sample(to_float(faces["images"]), resolution, alpha), generate().detach()
    real_logits, fake_logits = logits(real, text), logits(fake, text)
    other = logits(real, text[nearest_different(text, labeled)])
    loss = conditional.loss.discriminator(real_logits, fake_logits).mean()
    loss = loss + mismatched.weight * conditional.loss.mismatched(other, real_logits).mean()
    discriminate = partial(judge, resolution=resolution, alpha=alpha)
    step = GANStep(discriminate, real, fake, text, text, None, labeled, faces["attributes"])
    for term in system.objectives.values():
        if isinstance(term, GradientPenalty):
            loss = loss + term.weight * term.every * term.discriminator_loss(step)
    for_discriminator.zero_grad()
    loss.backward()
    for_discriminator.step()
    torch.clear_autocast_cache()  # else the weights just changed would still be those cast before

    loss = conditional.loss.generator(logits(generate(), text), None).mean()
    for_generator.zero_grad()
    loss.backward()
    for_generator.step()
    weight = system.averaging.weight(len(text), system.images_seen)
    system.averaging.update(system.ema, system.networks, weight)


def ours_in_the_engines_passes(
    overrides: Sequence[str], resolution: int, batch: int, device: torch.device, precision: str
) -> Step:
    """`step_in_the_engines_passes`, of a system of its own."""
    system = system_of(overrides, device)
    stand_at(system, resolution, batch)
    faces = made_up_batch(batch, system.max_resolution, EMBEDDING, device)

    def step() -> None:
        system.images_seen += batch
        with in_precision(precision, device):
            step_in_the_engines_passes(system, faces)

    return step


def stages_of(resolution: int) -> int:
    """4 -> 1, 8 -> 2, ..., 64 -> 5."""
    return resolution.bit_length() - 2


def up_to(stage: int, channels: Sequence[int]) -> list[str]:
    """Overrides for networks that end at 64x64, or at `stage` if that is larger."""
    pixels = max(stage, 64)
    widths = ",".join(map(str, channels[: stages_of(pixels)]))
    return [f"resolution={pixels}", f"model.networks.generator.channels=[{widths}]"]


def engine(resolution: int, batch: int, device: torch.device, latent: int = EMBEDDING) -> Step:
    """T2F's engine as T2F called it: matching-aware WGAN-GP, both steps with the same noise; to 64x64 or further."""
    try:
        from pro_gan_pytorch.PRO_GAN import ConditionalProGAN
    except ImportError as error:
        raise UserError("T2F's engine is missing, beside which ours is timed: pip install -e '.[speed]'") from error
    torch.manual_seed(0)
    depth = max(stages_of(64), stages_of(resolution))
    gan = ConditionalProGAN(EMBEDDING, depth, latent, latent // 2, beta_1=0.0, beta_2=0.0, device=device)
    faces = made_up_batch(batch, 4 * 2 ** (depth - 1), EMBEDDING, device)
    images, words = to_float(faces["images"]), faces["conditions"]
    noise = torch.randn(batch, latent, device=device)
    stage = stages_of(resolution) - 1

    def step() -> None:
        gan.optimize_discriminator(noise, images, words, stage, 0.5, use_matching_aware=True)
        gan.optimize_generator(noise, words, stage, 0.5)

    return step
