"""All uses of private APIs of other libraries, each with the reason for it.

Tried with torch 2.15.0, pytorch-lightning 2.6.6, hydra-core 1.3.8, omegaconf 2.3.1, gradio 6.31.0 and datasets 5.2.0.
The imports are inside the functions, so that a caller loads only the library that it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradio import Blocks
    from omegaconf import DictConfig
    from pytorch_lightning import Trainer
    from pytorch_lightning.core.optimizer import LightningOptimizer
    from pytorch_lightning.strategies.launchers import _MultiProcessingLauncher, _SubprocessScriptLauncher
    from torch import Tensor

    MultiProcessingLauncher = _MultiProcessingLauncher
    SubprocessLauncher = _SubprocessScriptLauncher


def scan(
    step: Callable[..., list[Tensor]], initial: list[Tensor], inputs: list[Tensor], constants: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """Apply a step to the rows of `inputs` one after the other, as one node of an exported graph.

    `torch.scan` would compile the step first, which takes seconds and is not needed; the operator behind it does not.

    Args:
        step: Maps the state, one row of each input and the constants to the new state and the output.
        initial: The state before the first row.
        inputs: Tensors (L, ...).
        constants: Further arguments of the step.

    Returns:
        The state after the last row, and the outputs (L, ...).
    """
    from torch._higher_order_ops.scan import scan_op

    results: tuple[Tensor, ...] = scan_op(step, initial, inputs, constants)
    return results


def restore_signal_handlers(trainer: Trainer) -> None:
    """Uninstall Lightning's signal handlers, for which the Trainer has no argument."""
    trainer._signal_connector.teardown()


def count_optimizer_step(optimizer: LightningOptimizer) -> None:
    """Count a step in `trainer.global_step`, which Lightning does in hooks of the steps that it sees."""
    optimizer._on_before_step()
    optimizer._on_after_step()


def multiprocessing_launcher(trainer: Trainer) -> MultiProcessingLauncher | None:
    """Return the launcher of a strategy that trains in child processes, as ddp_spawn; its class has no public name."""
    from pytorch_lightning.strategies.launchers import _MultiProcessingLauncher

    launcher = trainer.strategy.launcher
    return launcher if isinstance(launcher, _MultiProcessingLauncher) else None


def subprocess_launcher(trainer: Trainer) -> SubprocessLauncher | None:
    """Return the launcher of a strategy that runs the command again, as ddp; its class has no public name."""
    from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

    launcher = trainer.strategy.launcher
    return launcher if isinstance(launcher, _SubprocessScriptLauncher) else None


def mark_last_batch(checkpoint: dict[str, Any], is_last: bool) -> None:
    """Set whether Lightning regards the training of a checkpoint as finished, in which case it would not resume."""
    checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"] = is_last


def raise_errors_of_hydra() -> None:
    """Let `hydra.main` raise errors instead of printing them.

    Hydra prints the stack trace of an error in a resolver. The only public way to get the exception instead is
    HYDRA_FULL_ERROR, which the processes of a run would inherit.
    """
    import hydra._internal.utils

    hydra._internal.utils.run_and_report = lambda func: func()


def full_key(config: DictConfig) -> str:
    """Return the dotted key of a config in its root, which OmegaConf itself shows in errors only."""
    return str(config._get_full_key(None))


def root_of(config: DictConfig) -> Any:
    """Return the root of a config; public is only the parent of a node that belongs to one."""
    return config._get_root()


def limit_unread_sessions(blocks: Blocks, count: int) -> None:
    """Limit the sessions whose unread results a page keeps; Gradio keeps 2,000 and has no option for the number."""
    blocks._queue.pending_messages_per_session.max_size = count


def data_fingerprints(parts: Sequence[Any]) -> list[str]:
    """Return the fingerprint of each data set of the `datasets` library, which changes with its content."""
    return [part._fingerprint for part in parts]
