"""Safe instantiation of configs from untrusted checkpoints.

A `_target_` may name any callable, so only classes of t2f's own packages are allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hydra.utils import get_class

from t2f.utils.errors import UserError, require


def build_ours(config: Any, packages: tuple[str, ...], kind: type | tuple[type, ...]) -> Any:
    """Instantiate a checkpoint's plain config without resolving interpolations.

    Args:
        config: nested mappings and sequences; a mapping with a `_target_` becomes an object.
        packages: the packages, or full names of classes, that a `_target_` may name.
        kind: the base classes that a target must be a subclass of.

    Raises:
        UserError: a `_target_` is not allowed; see `require_ours`.
    """
    require_ours(config, packages, kind)
    return _instantiate(config)


def _instantiate(config: Any) -> Any:
    if isinstance(config, list | tuple):
        return [_instantiate(value) for value in config]
    if not isinstance(config, Mapping):
        return config
    arguments = {key: _instantiate(value) for key, value in config.items() if key != "_target_"}
    return get_class(config["_target_"])(**arguments) if "_target_" in config else arguments


def require_ours(config: Any, packages: tuple[str, ...], kind: type | tuple[type, ...]) -> None:
    """Check that every `_target_` of a plain config is allowed; the arguments are those of `build_ours`.

    Raises:
        UserError: a `_target_` is outside `packages`, does not exist, or is not a subclass of `kind`.
    """
    prefixes = tuple(f"{package}." for package in packages)
    for target in find_targets(config):
        require(
            target in packages or target.startswith(prefixes),
            f"The checkpoint's config calls {target}, which is not part of t2f: do not trust this checkpoint.",
        )
        try:
            found = get_class(target)
        except Exception as error:  # importing a module can fail in any way
            raise UserError(
                f"The checkpoint's config needs {target}, which this version of t2f does not have."
            ) from error
        require(
            issubclass(found, kind) and (target in packages or found.__module__.startswith(prefixes)),
            f"The checkpoint's config calls {target}, which is not allowed at this point of the config: do not trust "
            "this checkpoint.",
        )


def find_targets(config: Any) -> list[str]:
    """Collect every `_target_` of a nested plain config."""
    if isinstance(config, Mapping):
        own = [str(config["_target_"])] if "_target_" in config else []
        return own + [target for value in config.values() for target in find_targets(value)]
    if isinstance(config, list | tuple):
        return [target for value in config for target in find_targets(value)]
    return []
