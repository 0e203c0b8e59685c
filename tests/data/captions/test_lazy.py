import json
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY
from fixtures.drawn import write_celeba, write_folder
from omegaconf import DictConfig

import t2f.data.captions.describe_all
from t2f.cli.compare import compare
from t2f.cli.evaluate import evaluate
from t2f.data.captions.lazy import Chosen, Written
from t2f.data.datasets.celeba import CelebA
from t2f.data.faces import Faces, labels_checksum
from train import train

Tiny = Callable[..., DictConfig]
TEXTS = [["a man"], ["a woman", "she smiles"], [], ["${x}"]]


def given(texts: list[list[str]]) -> list[list[str]]:
    return texts


def never() -> list[list[str]]:
    raise AssertionError("written")


def test_nothing_is_written_until_a_caption_is_read(tmp_path: Path) -> None:
    captions = Written(tmp_path / "captions.json", 4, never)
    kept, later = captions[1:], Chosen(captions, [0, 3])
    assert (len(captions), len(kept), len(later), len(kept[1:])) == (4, 3, 2, 2)
    faces = Faces(np.zeros((4, 3, 4, 4), np.uint8), captions, np.zeros((4, 1), np.int8), ["a"])
    assert labels_checksum(faces) != labels_checksum(faces[1:])
    for some in (captions, kept, later):
        with pytest.raises(AssertionError, match="written"):
            some[0]
    assert not list(tmp_path.iterdir())


def test_what_is_read_is_what_was_written_once(tmp_path: Path) -> None:
    path = tmp_path / "cache/captions.json"
    captions = Written(path, 4, partial(given, TEXTS))
    assert captions[1:][0] == TEXTS[1]
    assert json.loads(path.read_text(encoding="utf-8")) == TEXTS
    again = Written(path, 4, never)
    for some in (captions, again, pickle.loads(pickle.dumps(again))):
        assert list(some) == TEXTS == some
        assert some[-1] == TEXTS[-1]
        assert some[::2] == TEXTS[::2]
        assert some[1:][1:] == TEXTS[2:] != some[1:]
        assert Chosen(some, [3, 0])[0] == TEXTS[3]
    assert list(path.parent.iterdir()) == [path]


def test_a_damaged_file_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "captions.json"
    path.write_text("[[")
    assert Written(path, 4, partial(given, TEXTS)) == TEXTS
    assert json.loads(path.read_text()) == TEXTS


def test_the_checksum_changes_with_the_captions_and_with_the_choice() -> None:
    def checksum(captions: object) -> str:
        return labels_checksum(Faces(np.zeros((2, 3, 4, 4), np.uint8), captions, np.zeros((2, 0), np.int8), []))  # type: ignore[arg-type]

    one, other = (Written(Path(f"/cache/captions-{name}.json"), 4, never) for name in "ab")
    lazy = [one[:2], one[2:], other[:2], Chosen(one, [0, 2])]
    assert len({checksum(each) for each in lazy}) == 4
    assert checksum(one[:2]) == checksum(Chosen(one, range(2)))
    assert checksum(Chosen(TEXTS, [0, 1])) == checksum(TEXTS[:2]) != checksum(TEXTS[1:3])


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sentences that are written, in this process."""
    sentences: list[str] = []
    describe = t2f.data.captions.describe_all.describe

    def counting(*arguments: object) -> object:
        caption = describe(*arguments)  # type: ignore[arg-type]  # as it is called
        sentences.append(caption.text)
        return caption

    monkeypatch.setattr(t2f.data.captions.describe_all, "describe", counting)
    return sentences


def textless(folder: Path) -> list[str]:
    """A folder of pictures of which only attributes are known."""
    overrides = write_folder(folder)
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    lines = [json.dumps({**row, "text": "", "Male": number // 2 % 2}) for number, row in enumerate(rows)]
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return overrides


@pytest.mark.parametrize(("data", "write"), [("celeba", write_celeba), ("folder", textless)])
def test_no_sentence_is_written_for_a_model_of_attributes(
    tiny: Tiny,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    written: list[str],
    data: str,
    write: Callable[[Path], list[str]],
) -> None:
    """Not in its training, nor its evaluation, with the retrieval of labels, nor in a comparison."""
    features = ["features._target_=fixtures.made_up.TinyFeatures", "~features.resolution", "evaluation.count=12"]
    settings = [f"data={data}", *write(tmp_path / "data"), f"paths.cache={tmp_path}/cache", *features]
    base = [each for each in TINY if not each.startswith("data.")]
    train(tiny(*settings, "conditioning=attributes", "evaluation=default", base=base))
    train(tiny(*settings, "conditioning=attributes", "evaluation=default", "resume=true", base=base))
    evaluate(str(tmp_path / "run"), [*features, f"paths.cache={tmp_path}/cache"], None)
    compare([tmp_path / "run"], [], count=1, seed=0, out=tmp_path / "compared")
    assert " captions" not in capsys.readouterr().out
    assert written == []
    assert not list(tmp_path.glob("cache/*captions*"))

    (tmp_path / "words").mkdir()
    train(tiny(*settings, "evaluation=default", f"paths.run={tmp_path}/words", base=base))
    assert len(written) == 4 * 20
    assert " captions" in " ".join(capsys.readouterr().out.split())


def test_captions_are_those_of_before(tmp_path: Path, written: list[str]) -> None:
    """The same sentences in the same file of the cache, whoever is left out."""
    write_celeba(tmp_path / "data")
    settings = {"folder": str(tmp_path / "data"), "cache": str(tmp_path / "cache"), "resolution": 8, "workers": 1}
    source = CelebA(**settings, held_out=0.2)  # type: ignore[arg-type]  # of several types
    source.prepare()
    assert written == []
    train_faces, held_out = source.train, source.held_out
    assert len(train_faces.captions) == 16
    captions = [*train_faces.captions, *held_out.captions]
    assert [text for each in captions for text in each] == written
    (path,) = tmp_path.glob("cache/celeba-captions-*.json")
    assert json.loads(path.read_text()) == captions

    (tmp_path / "data/img_align_celeba/000003.jpg").write_bytes(b"no picture")
    skipping = CelebA(**settings, held_out=0.2, on_error="skip")  # type: ignore[arg-type]
    skipping.prepare()
    assert list(skipping.train.captions) == [*captions[:2], *captions[3:16]]
    assert list(skipping.held_out.captions) == captions[16:]
    assert len(written) == 80
