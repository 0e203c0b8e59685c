import pytest

from t2f.data.datasets.avatars import Avatars
from t2f.data.datasets.celeba import CelebA
from t2f.data.datasets.face2text import Face2Text
from t2f.data.datasets.origin import OWN
from t2f.inference.export.model_card import origin_of


@pytest.mark.parametrize(
    ("source", "license", "said"),
    [
        (Avatars, "mit", "conventions of haircut and beard"),
        (CelebA, "other", "judgements of their makers"),
        (Face2Text, "other", "guessed at feelings"),
    ],
)
def test_a_card_tells_the_terms_and_biases_of_the_data(source: type, license: str, said: str) -> None:
    origin = origin_of({"data": {"_target_": f"{source.__module__}.{source.__qualname__}", "folder": "anywhere"}})
    assert origin.license == license
    assert said in origin.biases
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
    assert origin_of(config) is OWN
    assert "knows no terms" in OWN.terms
