"""Imports between the folders of the package, and the public names of each folder."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import t2f

PACKAGE = Path(t2f.__file__).parent
LAYERS = (
    {"utils"},
    {"networks", "text", "data"},
    {"conditioning"},
    {"objectives"},
    {"training"},
    {"metrics"},
    {"evaluation"},
    {"inference"},
    {"sweeps"},
    {"cli"},
)
LAYER = {folder: number for number, folders in enumerate(LAYERS) for folder in folders}
FOLDERS = sorted(LAYER)
PRIVATE_API = "utils/private_api.py"
"""The file that may use private names of other libraries."""


def imports() -> Iterator[tuple[Path, str, str]]:
    """Yield each import as (file, folder of the file, folder that it imports from)."""
    for folder in FOLDERS:
        for path in (PACKAGE / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("t2f."):
                    yield path, folder, (node.module or "").split(".")[1]


def test_each_folder_has_a_layer() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(FOLDERS)
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py"}


def test_imports_point_downwards() -> None:
    upward = {
        (str(path.relative_to(PACKAGE)), imported)
        for path, folder, imported in imports()
        if imported != folder and LAYER[imported] >= LAYER[folder]
    }
    assert not upward


def private_names(tree: ast.AST) -> Iterator[str]:
    """Yield the names with a leading underscore that a file imports from other libraries or reads of other objects."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            # `_target_` is a key of Hydra's configs. `os._exit` and `torch._foreach_*` are documented.
            public = ast.unparse(node) == "os._exit" or node.attr == "_target_" or node.attr.startswith("_foreach_")
            names = [] if own or public else [node.attr]
        elif isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [part for alias in node.names for part in alias.name.split(".")]
        else:
            continue
        yield from (name for name in names if name.startswith("_") and not name.startswith("__"))


def test_private_names_are_used_in_one_file() -> None:
    found = {
        (str(path.relative_to(PACKAGE)), name)
        for path in PACKAGE.rglob("*.py")
        for name in private_names(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert not {(file, name) for file, name in found if file != PRIVATE_API}
    assert {"_SubprocessScriptLauncher", "_signal_connector", "_internal"} <= {name for _, name in found}


@pytest.mark.parametrize("folder", FOLDERS)
def test_public_names_can_be_imported_from_their_folder(folder: str) -> None:
    package = importlib.import_module(f"t2f.{folder}")
    for name in getattr(package, "__all__", []):
        assert getattr(package, name).__module__.startswith(f"t2f.{folder}."), name


def test_importing_the_package_is_fast() -> None:
    """No folder imports torch until one of its names is used."""
    code = "import sys; import " + ", ".join(f"t2f.{folder}" for folder in FOLDERS) + "; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
