from pathlib import Path

import pytest
import torch

from t2f.utils.cached_tensors import Tensors, cached_tensors
from t2f.utils.errors import UserError

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(7), "c": torch.ones(0, 4, dtype=torch.bool)}


def fail() -> Tensors:
    raise AssertionError("computed again")


def equal(a: Tensors, b: Tensors) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) and a[name].dtype == b[name].dtype for name in a)


def test_tensors_are_computed_once(tmp_path: Path) -> None:
    path = tmp_path / "some" / "folder" / "file.safetensors"
    assert equal(cached_tensors(path, lambda: TENSORS), TENSORS)
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644
    assert equal(cached_tensors(path, fail), TENSORS)


def test_any_layout_is_cached_without_gradients(tmp_path: Path) -> None:
    tensors = {
        "transposed": torch.rand(3, 4).T,
        "parameter": torch.rand(2, requires_grad=True),
        "expanded": torch.zeros(1).expand(5),
    }
    computed = cached_tensors(tmp_path / "file", lambda: tensors)
    loaded = cached_tensors(tmp_path / "file", fail)
    assert equal(computed, loaded) and equal(loaded, tensors)
    assert not computed["parameter"].requires_grad


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\xff" * 100, None])
def test_a_damaged_file_is_replaced(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "file.safetensors"
    cached_tensors(path, lambda: TENSORS)
    complete = path.read_bytes()
    path.write_bytes(complete[:-1] if content is None else content)
    assert equal(cached_tensors(path, lambda: TENSORS), TENSORS)
    assert path.read_bytes() == complete


def test_a_failed_computation_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="computed again"):
        cached_tensors(tmp_path / "file", fail)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_path_raises_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(UserError, match=r"^The cached file .*taken/file could not be written \(.*paths\.cache"):
        cached_tensors(tmp_path / "taken" / "file", lambda: TENSORS)
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(UserError, match=r"^The cached file .*folder could not be written"):
        cached_tensors(tmp_path / "folder", lambda: TENSORS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "taken"]
