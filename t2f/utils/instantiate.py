"""Settings and data kept apart: OmegaConf composes settings, and nothing else passes through it.

OmegaConf reads `${...}` in any text as a reference and `???` as a missing value. Captions, names of attributes and
resolved settings may hold both as plain text. So a resolved config is written and read again as plain YAML, and an
object gets data by a call in Python.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml  # type: ignore[import-untyped]  # it has no types
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

from t2f.utils.errors import UserError


def build(config: DictConfig, **data: Any) -> Any:
    """Build the object of a config, with `data` as further arguments. No text in either is read as a reference.

    `instantiate(config, **data)` would merge the data into the config, and resolve the config twice: `\\${x}`, which is
    how `${x}` is written in a setting, would be looked up after all. Lists and mappings become plain ones.

    Raises `UserError` where a class raises `ValueError`, whose message starts with the name of an argument; the
    sentence names the config key in its place. Else `InstantiationException`, as `instantiate` does.
    """
    literal = copy.deepcopy(config)  # it keeps its parent, which it may refer to
    escape(literal)
    try:
        if not data:
            return instantiate(literal, _convert_="all")
        make = instantiate(literal, _partial_=True, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, ValueError) and (key := re.search(r"full_key: (\S+)", str(error))):
            raise UserError(with_key(str(error.__cause__), key[1], config)) from error
        raise
    try:
        return make(**data)
    except ValueError as error:
        raise UserError(with_key(str(error), config._get_full_key(None), config)) from error
    except Exception as error:
        raise InstantiationException(f"Error in call to target '{config._target_}': {error!r}") from error


def with_key(message: str, key: str, config: DictConfig) -> str:
    """A message about an argument as one about its config key: `every is 0` -> `loss.penalties.r1.every is 0`."""
    if about := re.match(r"([a-z_][\w.]*)( (?:is|has|needs|must) .*)", message, re.DOTALL):
        return written_key(config, f"{key}.{about[1]}") + about[2]
    return f"{message.rstrip('.')} ({written_key(config, key)})."


def written_key(config: DictConfig, key: str) -> str:
    """The key that a user sets: where a part of the config is `${another}`, that one's, as often as it takes."""
    root: Any = OmegaConf.to_container(config._get_root(), resolve=False)
    first, parts = key.split("."), list[str]()
    node = root
    while first:
        part = first.pop(0)
        node = node[int(part)] if isinstance(node, list) else node.get(part)
        parts.append(part)
        if isinstance(node, str) and (reference := re.fullmatch(r"\$\{([\w.]+)\}", node)):
            first, parts, node = [*reference[1].split("."), *first], [], root
        elif not isinstance(node, list | dict):
            break
    return ".".join([*parts, *first])


def escape(config: DictConfig | ListConfig) -> None:
    """Write each text with `${` so that it is itself once it has been resolved twice."""
    keys: list[Any] = list(config.keys() if isinstance(config, DictConfig) else range(len(config)))
    for key in keys:
        if OmegaConf.is_missing(config, key):
            continue
        value = config[key]
        if isinstance(value, DictConfig | ListConfig):
            if OmegaConf.is_interpolation(config, key):  # it belongs to another part of the config
                config[key] = copy.deepcopy(value)
                value = config[key]
            escape(value)
        elif isinstance(value, str) and "${" in value:
            config[key] = escaped(escaped(value))


def escaped(text: str) -> str:
    """A text as it is written for OmegaConf, which takes a backslash before `${` for an escape."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def to_yaml(config: Mapping[str, Any]) -> str:
    """Write plain values as YAML."""
    text: str = yaml.dump(dict(config), Dumper=WithoutAliases, sort_keys=False, allow_unicode=True)
    return text


def from_yaml(text: str) -> dict[str, Any]:
    """Read a resolved config as plain values: every text is what it says.

    Raises `ValueError` or `yaml.YAMLError` for anything but a mapping without aliases. With aliases, a few lines of a
    stranger's file could be a thousand million values.
    """
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.CSafeLoader)):
        raise ValueError("its config has YAML aliases, which t2f never writes")
    config = yaml.load(text, Loader=yaml.CSafeLoader)
    if not isinstance(config, dict):
        raise ValueError(f"its config is {type(config).__name__}, not a mapping")
    return config


def as_typed(overrides: Sequence[str]) -> list[str]:
    """The overrides of Hydra's config as they were typed: reading one there would look up the `${...}` in it."""
    typed: Any = OmegaConf.to_container(overrides, resolve=False)
    return [str(each) for each in typed]


class WithoutAliases(yaml.SafeDumper):  # type: ignore[misc]  # it has no types
    """Writes a value that stands in two places twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
