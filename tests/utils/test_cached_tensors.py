from pathlib import Path

import pytest
import torch

from t2f.utils.cached_tensors import Tensors, cached_tensors
from t2f.utils.errors import UserError

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(7), "c": torch.ones(0, 4, dtype=torch.bool)}


def refuse() -> Tensors:
    raise AssertionError("made again")


def same(one: Tensors, other: Tensors) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one
    )


def test_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "some" / "folder" / "file.safetensors"
    assert same(cached_tensors(path, lambda: TENSORS), TENSORS)
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644
    assert same(cached_tensors(path, refuse), TENSORS)


def test_tensors_of_any_layout_are_kept_without_their_history(tmp_path: Path) -> None:
    made = {"turned": torch.rand(3, 4).T, "learnt": torch.rand(2, requires_grad=True), "all": torch.zeros(1).expand(5)}
    found = cached_tensors(tmp_path / "file", lambda: made)
    again = cached_tensors(tmp_path / "file", refuse)
    assert same(found, again) and same(again, made)
    assert not found["learnt"].requires_grad


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\xff" * 100, None])
def test_a_damaged_file_is_made_anew(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "file.safetensors"
    cached_tensors(path, lambda: TENSORS)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] if content is None else content)
    assert same(cached_tensors(path, lambda: TENSORS), TENSORS)
    assert path.read_bytes() == whole


def test_nothing_is_left_where_making_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="made again"):
        cached_tensors(tmp_path / "file", refuse)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(UserError, match=r"^The cached file .*taken/file could not be written \(.*paths\.cache"):
        cached_tensors(tmp_path / "taken" / "file", lambda: TENSORS)
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(UserError, match=r"^The cached file .*folder could not be written"):
        cached_tensors(tmp_path / "folder", lambda: TENSORS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "taken"]
