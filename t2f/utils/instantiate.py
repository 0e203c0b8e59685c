"""Build objects from a config, and read and write configs as YAML.

OmegaConf reads `${...}` in a text as an interpolation and `???` as a missing value. Captions, attribute names and
resolved configs may contain both as plain text. Therefore only configs pass through OmegaConf: resolved configs are
plain YAML, and data are passed to objects as Python arguments.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml  # type: ignore[import-untyped]  # its stubs are not installed
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

from t2f.utils.errors import UserError
from t2f.utils.private_api import full_key, root_of


def build(config: DictConfig, **data: Any) -> Any:
    """Instantiate the `_target_` of a config, and those of its nested configs.

    `hydra.utils.instantiate(config, **data)` would merge the data into the config and resolve the config twice. This
    function does neither: the data are passed unchanged, and `\\${x}` in the config becomes the text `${x}`.

    Args:
        config: A config with a `_target_`. Its lists and mappings are passed as plain Python objects.
        data: Further arguments of the target.

    Returns:
        The object.

    Raises:
        UserError: If a constructor raises `ValueError`. If its message starts with the name of an argument, as in
            "count must be at least 1, but is 0", the name is replaced by the full config key.
        InstantiationException: If anything else fails.
    """
    literal = copy.deepcopy(config)  # it keeps its parent, to which interpolations may refer
    _escape_texts(literal)
    try:
        if not data:
            return instantiate(literal, _convert_="all")
        make = instantiate(literal, _partial_=True, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, ValueError):
            key = re.search(r"full_key: (\S+)", str(error))
            raise UserError(_with_config_key(str(error.__cause__), key[1] if key else "", config)) from error
        raise
    try:
        return make(**data)
    except ValueError as error:
        raise UserError(_with_config_key(str(error), full_key(config), config)) from error
    except Exception as error:  # a target may raise anything; the key of the config is added
        raise InstantiationException(f"Error in call to target '{config._target_}': {error!r}") from error


def _with_config_key(message: str, key: str, config: DictConfig) -> str:
    """Replace the argument name at the start of a message by its config key, or append the key of the object."""
    if not key:
        return message
    if argument := re.match(r"([a-z_][\w.]*)( (?:is|has|needs|must) .*)", message, re.DOTALL):
        return _resolve_key(config, f"{key}.{argument[1]}") + argument[2]
    return f"{message.rstrip('.')} ({_resolve_key(config, key)})."


def _resolve_key(config: DictConfig, key: str) -> str:
    """Follow interpolations to the key that the user sets: `loss.weight` becomes `w.weight` where `loss` is `${w}`."""
    root: Any = OmegaConf.to_container(root_of(config), resolve=False)
    remaining, resolved = key.split("."), list[str]()
    node = root
    while remaining:
        part = remaining.pop(0)
        node = node[int(part)] if isinstance(node, list) else node.get(part)
        resolved.append(part)
        if isinstance(node, str) and (reference := re.fullmatch(r"\$\{([\w.]+)\}", node)):
            remaining, resolved, node = [*reference[1].split("."), *remaining], [], root
        elif not isinstance(node, list | dict):
            break
    return ".".join([*resolved, *remaining])


def _escape_texts(config: DictConfig | ListConfig) -> None:
    """Escape all texts in place, so that they are unchanged after they are resolved twice."""
    keys: list[Any] = list(config.keys() if isinstance(config, DictConfig) else range(len(config)))
    for key in keys:
        if OmegaConf.is_missing(config, key):
            continue
        value = config[key]
        if isinstance(value, DictConfig | ListConfig):
            if OmegaConf.is_interpolation(config, key):  # the value belongs to another part of the config
                config[key] = copy.deepcopy(value)
                value = config[key]
            _escape_texts(value)
        elif isinstance(value, str) and "${" in value:
            config[key] = escape_interpolations(escape_interpolations(value))


def escape_interpolations(text: str) -> str:
    """Escape each `${` so that OmegaConf resolves the result to this text.

    OmegaConf reads a backslash before `${` as an escape, so backslashes there are doubled.
    """
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def raw_overrides(overrides: Sequence[str]) -> list[str]:
    """Return Hydra's list of overrides without resolving the interpolations in them."""
    unresolved: Any = OmegaConf.to_container(overrides, resolve=False)
    return [str(override) for override in unresolved]


def to_yaml(config: Mapping[str, Any]) -> str:
    """Write plain values as YAML without aliases."""
    text: str = yaml.dump(dict(config), Dumper=_NoAliasDumper, sort_keys=False, allow_unicode=True)
    return text


def from_yaml(text: str) -> dict[str, Any]:
    """Read a resolved config as plain values, without interpolation.

    Aliases are refused, because a few lines with aliases can expand to billions of values.

    Raises:
        ValueError: If the text is not a mapping, or contains aliases.
        yaml.YAMLError: If the text is not YAML.
    """
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.CSafeLoader)):
        raise ValueError("its config has YAML aliases, which t2f never writes")
    config = yaml.load(text, Loader=yaml.CSafeLoader)
    if not isinstance(config, dict):
        raise ValueError(f"its config is {type(config).__name__}, not a mapping")
    return config


class _NoAliasDumper(yaml.SafeDumper):  # type: ignore[misc]  # yaml is untyped
    def ignore_aliases(self, data: Any) -> bool:
        return True
