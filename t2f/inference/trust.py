"""Configs that strangers wrote: a config names the classes to call, so one could call anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hydra.utils import get_class

from t2f.utils.errors import UserError, require

HARMLESS = ("torch.nn.Identity",)
"""Classes of PyTorch that a config may call."""


def build_ours(config: Any, packages: tuple[str, ...], kind: type | tuple[type, ...]) -> Any:
    """Build the object of a checkpoint's plain config, as Hydra would, but with every text as it is.

    Raises `UserError` where `require_ours` does; and what the classes raise.
    """
    require_ours(config, packages, kind)
    return built(config)


def built(config: Any) -> Any:
    """A nested plain value with the objects that its mappings with a `_target_` describe."""
    if isinstance(config, list | tuple):
        return [built(value) for value in config]
    if not isinstance(config, Mapping):
        return config
    arguments = {key: built(value) for key, value in config.items() if key != "_target_"}
    return get_class(config["_target_"])(**arguments) if "_target_" in config else arguments


def require_ours(config: Any, packages: tuple[str, ...], kind: type | tuple[type, ...]) -> None:
    """Raise `UserError` unless a plain config of a checkpoint calls nothing but classes of `kind` in our `packages`.

    `HARMLESS` classes of this kind may be called, too.
    """
    inside = tuple(f"{package}." for package in packages)
    for target in targets_of(config):
        harmless = target in HARMLESS
        require(
            harmless or target.startswith(inside),
            f"The checkpoint asks to call {target}, which is not ours: do not trust it.",
        )
        try:
            found = get_class(target)
        except Exception as error:
            raise UserError(f"The checkpoint asks for {target}, which this version of t2f does not have.") from error
        ours = issubclass(found, kind) and (harmless or found.__module__.startswith(inside))
        require(ours, f"The checkpoint asks to call {target}, which is not what belongs there: do not trust it.")


def targets_of(config: Any) -> list[str]:
    """Every `_target_` of a nested plain config."""
    if isinstance(config, Mapping):
        own = [str(config["_target_"])] if "_target_" in config else []
        return own + [target for value in config.values() for target in targets_of(value)]
    if isinstance(config, list | tuple):
        return [target for value in config for target in targets_of(value)]
    return []
