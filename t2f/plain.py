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


def build(config: DictConfig, **data: Any) -> Any:
    """Build the object of a config, with `data` as further arguments. No text in either is read as a reference.

    `instantiate(config, **data)` would merge the data into the config, and resolve the config twice: `\\${x}`, which is
    how `${x}` is written in a setting, would be looked up after all. Lists and mappings become plain ones.

    Raises `InstantiationException`, as `instantiate` does.
    """
    literal = copy.deepcopy(config)  # it keeps its parent, which it may refer to
    escape(literal)
    if not data:
        return instantiate(literal, _convert_="all")
    make = instantiate(literal, _partial_=True, _convert_="all")
    try:
        return make(**data)
    except Exception as error:
        raise InstantiationException(f"Error in call to target '{config._target_}': {error!r}") from error


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
