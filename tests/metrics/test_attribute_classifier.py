from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from t2f.data.faces import Faces
from t2f.metrics import attribute_classifier
from t2f.metrics.attribute_classifier import AttributeClassifier, cached_classifier, fit_logistic, train_classifier
from t2f.networks.efficientnet import Network

CPU = torch.device("cpu")


def make_faces(seed: int, count: int = 512) -> Faces:
    """Noise images with two visible attributes: red, and a bright upper half. 20% of the labels are unknown."""
    rng = np.random.default_rng(seed)
    attributes = rng.integers(0, 2, (count, 2))
    images = rng.integers(60, 120, (count, 3, 8, 8))
    images[:, 0] += 100 * attributes[:, 0, None, None]
    images[:, 1:, :4] += 100 * attributes[:, 1, None, None, None]
    labels = np.where(rng.random((count, 2)) < 0.2, -1, attributes)
    return Faces(images.astype(np.uint8), [["a face"]] * count, labels.astype(np.int8), ["Red", "Bright"])


@pytest.fixture(scope="module", params=get_args(Network))
def classifier(request: pytest.FixtureRequest) -> AttributeClassifier:
    return train_classifier(make_faces(0), CPU, network=request.param)


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("trained again")


def test_predicts_the_attributes_of_new_images(classifier: AttributeClassifier) -> None:
    faces = make_faces(1, 200)
    predicted = classifier.predict(torch.from_numpy(faces.images)).numpy()
    assert predicted.shape == (200, 2)
    assert predicted.dtype == bool
    labeled = faces.attributes >= 0
    for attribute in range(2):
        rows = labeled[:, attribute]
        assert (predicted[rows, attribute] == faces.attributes[rows, attribute]).mean() > 0.95


def test_batch_size_does_not_change_predictions(classifier: AttributeClassifier) -> None:
    images = torch.from_numpy(make_faces(1, 50).images)
    assert torch.equal(classifier.predict(images, batch_size=7), classifier.predict(images, batch_size=50))


def test_training_mode_does_not_change_predictions(classifier: AttributeClassifier) -> None:
    images = torch.from_numpy(make_faces(1, 50).images)
    expected = classifier.predict(images)
    assert torch.equal(classifier.train().predict(images), expected)


def test_training_and_loading_keep_the_global_random_state(tmp_path: Path) -> None:
    faces = make_faces(0, 32)
    state = torch.get_rng_state()
    for _ in range(2):
        cached_classifier(faces, tmp_path, CPU)
    assert torch.equal(torch.get_rng_state(), state)


def test_training_is_deterministic() -> None:
    faces = make_faces(0, 32)
    one, other = train_classifier(faces, CPU).state_dict(), train_classifier(faces, CPU).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_unknown_labels_are_ignored() -> None:
    faces = make_faces(0, 32)
    unlabeled = replace(faces, attributes=np.full_like(faces.attributes, -1))
    assert not train_classifier(unlabeled, CPU).head.weight.any()


def test_decision_boundary_of_a_rare_attribute_is_balanced() -> None:
    """The boundary is half way between the means of two overlapping classes."""
    generator = torch.Generator().manual_seed(0)
    attributes = (torch.arange(4000) % 20 == 0).to(torch.int8)[:, None]
    features = torch.randn(4000, 1, generator=generator) + 10 + 2 * attributes
    weight, bias = fit_logistic(features, attributes)
    assert (-bias / weight).item() == pytest.approx(11, abs=0.15)


def test_attribute_of_all_images_is_predicted_for_all() -> None:
    faces = make_faces(0, 32)
    positive = replace(faces, attributes=np.ones_like(faces.attributes))
    assert train_classifier(positive, CPU).predict(torch.from_numpy(faces.images)).all()


def test_images_of_any_resolution_are_classified(classifier: AttributeClassifier) -> None:
    faces = make_faces(1, 100)
    images = torch.from_numpy(faces.images)
    large = images.repeat_interleave(16, 2).repeat_interleave(16, 3)
    assert (classifier.predict(large) == classifier.predict(images)).float().mean() > 0.95


@pytest.mark.gpu
def test_gpu_and_cpu_agree_and_share_the_cache(tmp_path: Path) -> None:
    faces = make_faces(0, 128)
    images, gpu = torch.from_numpy(make_faces(1, 200).images), torch.device("cuda")
    fitted = train_classifier(faces, gpu)
    assert fitted.device.type == "cuda"
    predicted = fitted.predict(images)
    assert (predicted == train_classifier(faces, CPU).predict(images)).float().mean() > 0.98
    assert cached_classifier(faces, tmp_path, gpu).device.type == "cuda"
    loaded = cached_classifier(faces, tmp_path, CPU)
    assert len(list(tmp_path.iterdir())) == 1
    assert (loaded.predict(images) == predicted).float().mean() > 0.98


def test_second_call_loads_the_cached_classifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = make_faces(0, 64)
    images = torch.from_numpy(make_faces(1, 50).images)
    first = cached_classifier(faces, tmp_path, CPU)
    (path,) = tmp_path.iterdir()
    assert path.suffix == ".safetensors"
    monkeypatch.setattr(attribute_classifier, "train_classifier", refuse)
    second = cached_classifier(faces, tmp_path, CPU)
    assert not second.training
    assert all(torch.equal(first.state_dict()[name], value) for name, value in second.state_dict().items())
    assert torch.equal(second.predict(images), first.predict(images))


def test_other_data_and_networks_have_their_own_classifier(tmp_path: Path) -> None:
    faces = make_faces(0, 32)
    cached_classifier(faces, tmp_path, CPU)
    cached_classifier(make_faces(1, 32), tmp_path, CPU)
    cached_classifier(faces[:16], tmp_path, CPU)
    cached_classifier(replace(faces, attribute_names=["Red", "Shiny"]), tmp_path, CPU)
    assert len(list(tmp_path.iterdir())) == 4
    assert cached_classifier(faces, tmp_path, CPU, "efficientnet_lite2").head.in_features == 88 * 4 * 4
    assert len(list(tmp_path.iterdir())) == 5
