import pytest

from t2f.data.datasets.avatars import Avatars
from t2f.data.datasets.celeba import CelebA
from t2f.data.datasets.face2text import Face2Text
from t2f.data.datasets.origin import UNKNOWN_ORIGIN
from t2f.inference.export.model_card import find_origin


@pytest.mark.parametrize(
    ("dataset", "license", "bias"),
    [
        (Avatars, "mit", "conventions of haircut and beard"),
        (CelebA, "other", "judgments of the annotators"),
        (Face2Text, "other", "guesses about feelings"),
    ],
)
def test_a_data_set_declares_its_license_and_biases(dataset: type, license: str, bias: str) -> None:
    origin = find_origin({"data": {"_target_": f"{dataset.__module__}.{dataset.__qualname__}", "folder": "anywhere"}})
    assert origin.license == license
    assert bias in origin.biases
    assert (origin.license == "mit") or "non-commercial research only" in origin.terms


@pytest.mark.parametrize(
    "config",
    [
        {"data": {"_target_": "t2f.data.datasets.image_folder.ImageFolder"}},
        {"data": {"_target_": "t2f.data.datasets.hf_hub.HFHub", "dataset": "somebody/faces"}},
        {"data": {"_target_": "somebody.Else"}},
        {"data": {"_target_": "os.system"}},
        {"data": None},
        {},
    ],
)
def test_of_data_that_it_does_not_know_a_card_says_so(config: dict[str, object]) -> None:
    assert find_origin(config) is UNKNOWN_ORIGIN
    assert "terms are unknown" in UNKNOWN_ORIGIN.terms
