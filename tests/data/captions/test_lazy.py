import json
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY
from fixtures.image_datasets import write_celeba, write_folder
from omegaconf import DictConfig

import t2f.data.captions.generate_all
from t2f.cli.compare import compare
from t2f.cli.evaluate import evaluate
from t2f.cli.train import train
from t2f.data.captions.lazy import CachedCaptions, take
from t2f.data.datasets.celeba import CelebA
from t2f.data.faces import Faces, labels_checksum

Tiny = Callable[..., DictConfig]
TEXTS = [["a man"], ["a woman", "she smiles"], [], ["${x}"]]


def return_texts(texts: list[list[str]]) -> list[list[str]]:
    return texts


def fail_if_called() -> list[list[str]]:
    raise AssertionError("generated")


def test_captions_are_generated_when_first_read(tmp_path: Path) -> None:
    captions = CachedCaptions(tmp_path / "captions.json", 4, fail_if_called)
    part, subset = captions[1:], take(captions, [0, 3])
    assert (len(captions), len(part), len(subset), len(part[1:])) == (4, 3, 2, 2)
    faces = Faces(np.zeros((4, 3, 4, 4), np.uint8), captions, np.zeros((4, 1), np.int8), ["a"])
    assert labels_checksum(faces) != labels_checksum(faces[1:])
    for some in (captions, part, subset):
        with pytest.raises(AssertionError, match="generated"):
            some[0]
    assert not list(tmp_path.iterdir())


def test_captions_are_generated_once_and_cached(tmp_path: Path) -> None:
    path = tmp_path / "cache/captions.json"
    captions = CachedCaptions(path, 4, partial(return_texts, TEXTS))
    assert captions[1:][0] == TEXTS[1]
    assert json.loads(path.read_text(encoding="utf-8")) == TEXTS
    again = CachedCaptions(path, 4, fail_if_called)
    for some in (captions, again, pickle.loads(pickle.dumps(again))):
        assert list(some) == TEXTS
        assert some[-1] == TEXTS[-1]
        assert list(some[::2]) == TEXTS[::2]
        assert list(some[1:][1:]) == TEXTS[2:]
        assert take(some, [3, 0])[0] == TEXTS[3]
    assert list(path.parent.iterdir()) == [path]


def test_a_damaged_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "captions.json"
    path.write_text("[[")
    assert list(CachedCaptions(path, 4, partial(return_texts, TEXTS))) == TEXTS
    assert json.loads(path.read_text()) == TEXTS


def test_the_checksum_depends_on_the_captions_and_the_subset() -> None:
    def checksum(captions: object) -> str:
        return labels_checksum(Faces(np.zeros((2, 3, 4, 4), np.uint8), captions, np.zeros((2, 0), np.int8), []))  # type: ignore[arg-type]

    one, other = (CachedCaptions(Path(f"/cache/captions-{name}.json"), 4, fail_if_called) for name in "ab")
    lazy = [one[:2], one[2:], other[:2], take(one, [0, 2])]
    assert len({checksum(each) for each in lazy}) == 4
    assert checksum(one[:2]) == checksum(take(one, range(2)))
    assert checksum(take(TEXTS, [0, 1])) == checksum(TEXTS[:2]) != checksum(TEXTS[1:3])


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All captions that this process generates."""
    sentences: list[str] = []
    original = t2f.data.captions.generate_all.generate_caption

    def counting(*arguments: object) -> object:
        caption = original(*arguments)  # type: ignore[arg-type]  # as it is called
        sentences.append(caption.text)
        return caption

    monkeypatch.setattr(t2f.data.captions.generate_all, "generate_caption", counting)
    return sentences


def write_uncaptioned(folder: Path) -> list[str]:
    """Write a folder of images with attributes and empty captions."""
    overrides = write_folder(folder)
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    lines = [json.dumps({**row, "text": "", "Male": number // 2 % 2}) for number, row in enumerate(rows)]
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return overrides


@pytest.mark.parametrize(("data", "write"), [("celeba", write_celeba), ("folder", write_uncaptioned)])
def test_a_model_of_attributes_generates_no_captions(
    tiny: Tiny,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    generated: list[str],
    data: str,
    write: Callable[[Path], list[str]],
) -> None:
    """Neither training, nor evaluation with label retrieval, nor a comparison reads captions."""
    features = ["features._target_=fixtures.toy.TinyFeatures", "~features.resolution", "evaluation.count=12"]
    settings = [f"data={data}", *write(tmp_path / "data"), f"paths.cache={tmp_path}/cache", *features]
    base = [each for each in TINY if not each.startswith("data.")]
    train(tiny(*settings, "conditioning=attributes", "evaluation=default", base=base))
    train(tiny(*settings, "conditioning=attributes", "evaluation=default", "resume=true", base=base))
    evaluate(str(tmp_path / "run"), [*features, f"paths.cache={tmp_path}/cache"], None)
    compare([tmp_path / "run"], [], count=1, seed=0, out=tmp_path / "compared")
    assert " training faces with " not in capsys.readouterr().out
    assert generated == []
    assert not list(tmp_path.glob("cache/*captions*"))

    (tmp_path / "words").mkdir()
    train(tiny(*settings, "evaluation=default", f"paths.run={tmp_path}/words", base=base))
    assert len(generated) == 4 * 20
    assert " training faces with " in " ".join(capsys.readouterr().out.split())


def test_captions_do_not_depend_on_skipped_faces(tmp_path: Path, generated: list[str]) -> None:
    """The file in the cache contains the captions of all faces."""
    write_celeba(tmp_path / "data")
    settings = {"folder": str(tmp_path / "data"), "cache": str(tmp_path / "cache"), "resolution": 8, "workers": 1}
    source = CelebA(**settings, held_out=0.2)  # type: ignore[arg-type]  # of several types
    source.prepare()
    assert generated == []
    train_faces, held_out = source.train, source.held_out
    assert len(train_faces.captions) == 16
    captions = [*train_faces.captions, *held_out.captions]
    assert [text for each in captions for text in each] == generated
    (path,) = tmp_path.glob("cache/celeba-captions-*.json")
    assert json.loads(path.read_text()) == captions

    (tmp_path / "data/img_align_celeba/000003.jpg").write_bytes(b"no picture")
    skipping = CelebA(**settings, held_out=0.2, on_error="skip")  # type: ignore[arg-type]
    skipping.prepare()
    assert list(skipping.train.captions) == [*captions[:2], *captions[3:16]]
    assert list(skipping.held_out.captions) == captions[16:]
    assert len(generated) == 80
