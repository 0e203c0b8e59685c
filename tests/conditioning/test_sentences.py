import random
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from t2f.conditioning.base import load_conditioner, save_conditioner
from t2f.conditioning.sentences import TokenConditioner
from t2f.data.captions.generate import generate_caption
from t2f.data.faces import Faces
from t2f.utils.errors import UserError

CAPTIONS: list[list[str]] = [[], ["a smiling man", "a man"], [], ["a bald man with glasses"], ["a woman"]]
NAMES = ["Male", "Smiling", "Eyeglasses"]


def make_faces(captions: Sequence[Sequence[str]] = CAPTIONS, names: Sequence[str] = NAMES) -> Faces:
    images = np.zeros((len(captions), 3, 4, 4), np.uint8)
    images += np.arange(len(captions), dtype=np.uint8)[:, None, None, None]
    attributes = np.random.default_rng(0).integers(-1, 2, (len(captions), len(names))).astype(np.int8)
    return Faces(images, captions, attributes, list(names))


@pytest.fixture
def conditioner() -> TokenConditioner:
    return TokenConditioner.fit(make_faces(), vocabulary=100, max_tokens=6)


def test_a_face_has_one_condition_per_caption(conditioner: TokenConditioner) -> None:
    conditions = conditioner.conditions_of(make_faces())
    assert conditions.counts.tolist() == [0, 2, 0, 1, 1]
    assert conditions.rotation_k.tolist() == [0] * 4
    captions = ["a smiling man", "a man", "a bald man with glasses", "a woman"]
    assert conditions.values.dtype == torch.int64
    assert conditions.values.shape == (4, 6)
    assert torch.equal(conditions.values, conditioner(captions))
    assert [conditioner.tokenizer.tokenizer.decode(row.tolist()) for row in conditions.values] == [
        f"{caption} ." for caption in captions
    ]


def test_the_vocabulary_contains_the_words_of_all_captions(conditioner: TokenConditioner) -> None:
    distinct = {word for captions in CAPTIONS for caption in captions for word in caption.split()}
    assert conditioner.size == len(distinct) + 3  # padding, the unknown word and the full stop
    assert conditioner.summary == f"{conditioner.size} words"
    few = TokenConditioner.fit(make_faces(), vocabulary=5, max_tokens=6)
    assert few.size == 5
    assert few.notes("a man, a woman") == [
        "left out, since the model learned no word for it: man, woman or anyone (woman)"
    ]


def test_examples_are_the_first_captions_of_the_first_described_faces(conditioner: TokenConditioner) -> None:
    examples = conditioner.examples(make_faces(), 2)
    assert [(each.description, each.face, each.rotation_k) for each in examples] == [
        ("a smiling man", 1, 0),
        ("a bald man with glasses", 3, 0),
    ]
    assert len(conditioner.examples(make_faces(), 100)) == 3
    assert (examples[1].image(make_faces()) == 3).all()
    assert conditioner.examples(make_faces([[], []]), 2) == []


def test_a_prompt_set_expects_only_what_its_sentences_state(conditioner: TokenConditioner) -> None:
    faces = make_faces()
    prompt_set = conditioner.prompt_set(faces, 12, seed=3)
    assert prompt_set.faces.tolist() == [row % 5 for row in range(12)]
    assert prompt_set.expected.dtype == torch.int8
    for row in range(12):
        truth = dict(zip(NAMES, map(int, faces.attributes[row % 5]), strict=True))
        caption = generate_caption(truth, random.Random(f"evaluation 3 {row}"))
        assert prompt_set.descriptions[row] == caption.text
        expected = dict(zip(NAMES, prompt_set.expected[row].tolist(), strict=True))
        assert {name: value for name, value in expected.items() if value >= 0} == caption.expected
        assert all(value == truth[name] for name, value in expected.items() if value >= 0)
    assert (prompt_set.expected >= 0).any()
    assert (prompt_set.expected < 0).any()


def test_prompt_sets_of_different_seeds_differ(conditioner: TokenConditioner) -> None:
    one, other = conditioner.prompt_set(make_faces(), 12, seed=0), conditioner.prompt_set(make_faces(), 12, seed=1)
    assert one.descriptions != other.descriptions


def test_without_attributes_a_prompt_set_contains_captions_of_the_faces(conditioner: TokenConditioner) -> None:
    faces = make_faces([["a man", "someone"], [], ["a woman"]], names=[])
    prompt_set = conditioner.prompt_set(faces, 40, seed=0)
    assert prompt_set.expected.shape == (40, 0)
    assert set(prompt_set.faces.tolist()) == {0, 2}
    assert all(
        text in faces.captions[face] for text, face in zip(prompt_set.descriptions, prompt_set.faces, strict=True)
    )
    assert set(prompt_set.descriptions) == {"a man", "someone", "a woman"}
    assert prompt_set.descriptions == conditioner.prompt_set(faces, 40, seed=0).descriptions


def test_if_no_sentence_states_an_attribute_a_prompt_set_contains_captions_of_the_faces(
    conditioner: TokenConditioner,
) -> None:
    prompt_set = conditioner.prompt_set(make_faces([["a man"], ["a woman"], ["a man"]], names=["Dimples"]), 6, seed=0)
    assert set(prompt_set.descriptions) == {"a man", "a woman"}
    assert (prompt_set.expected == -1).all()


def test_a_prompt_set_needs_captions(conditioner: TokenConditioner) -> None:
    with pytest.raises(UserError, match="None of the held-out faces has a caption"):
        conditioner.prompt_set(make_faces([[], []], names=[]), 6, seed=0)


def test_faces_without_captions_are_an_error() -> None:
    with pytest.raises(UserError, match=r"no captions to train on: choose conditioning=attributes"):
        TokenConditioner.fit(make_faces([[], [], []]), vocabulary=100, max_tokens=6)


def test_unknown_words_are_noted(conditioner: TokenConditioner) -> None:
    assert conditioner.notes("a smiling man") == []
    assert conditioner.notes("A Smiling MAN!") == []
    assert conditioner.notes("a smiling Klingon with a moustache") == [
        "left out, since the model's training data say nothing of it: beard and mustache (moustache)",
        "not among the words of training, so ignored: Klingon",
    ]
    assert conditioner.notes("a smiling womann") == ["read 'womann' as 'woman'"]


def test_unknown_words_are_removed_or_replaced(conditioner: TokenConditioner) -> None:
    assert torch.equal(conditioner(["a smiling Klingon man"]), conditioner(["a smiling man"]))
    assert torch.equal(conditioner(["a grinning gentleman"]), conditioner(["a smiling man"]))


def test_a_long_description_is_read_to_its_end(conditioner: TokenConditioner) -> None:
    """The training captions are cut at six tokens."""
    one, other = conditioner(["a man, a man, a man, a man with glasses", "a man, a man, a man, a man, bald"])
    assert len(one) > 6
    assert not torch.equal(one, other)


def test_a_description_of_unknown_words_only_is_an_error(conditioner: TokenConditioner) -> None:
    with pytest.raises(
        UserError, match="trained on none of the words of 'zwölf Boxkämpfer': describe the face"
    ) as raised:
        conditioner.notes("zwölf Boxkämpfer")
    assert conditioner.example in str(raised.value)
    assert "glasses (glasses)" in str(raised.value)
    with pytest.raises(UserError, match="none of the words of 'old', since its training data say nothing of age"):
        conditioner.notes("old")


def test_a_description_without_words_is_an_error(conditioner: TokenConditioner) -> None:
    with pytest.raises(UserError, match="'🙂 !\\?' has no words: describe the face"):
        conditioner.notes("🙂 !?")


def test_the_example_is_one_of_the_captions(conditioner: TokenConditioner) -> None:
    assert conditioner.example == "a bald man with glasses"
    flowers = TokenConditioner.fit(
        make_faces([["A tulip, \n yellow as the sun."], ["A rose."]]), vocabulary=100, max_tokens=6
    )
    assert flowers.example == "a tulip, yellow as the sun"
    assert flowers.notes(flowers.example) == []
    assert load_conditioner(save_conditioner(flowers)).example == flowers.example


def test_without_an_example_a_known_one_is_chosen(conditioner: TokenConditioner) -> None:
    flowers = TokenConditioner.fit(make_faces([["A tulip."], ["A red tulip."]]), vocabulary=100, max_tokens=6)
    for current in (conditioner, flowers):
        chosen = TokenConditioner(current.tokenizer)
        assert chosen.notes(chosen.example) == []


def test_known_words_are_grouped_by_topic(conditioner: TokenConditioner) -> None:
    assert conditioner.known_words()["glasses"] == ["glasses"]
    assert "bald" in conditioner.known_words()["hair"]


def test_an_empty_description_is_an_error(conditioner: TokenConditioner) -> None:
    with pytest.raises(UserError, match="Description 2 is empty"):
        conditioner(["a man", " "])


def test_a_loaded_conditioner_equals_the_saved_one(conditioner: TokenConditioner) -> None:
    saved = save_conditioner(conditioner)
    assert saved["class"] == "t2f.conditioning.sentences.TokenConditioner"
    assert saved["max_tokens"] == 6
    loaded = load_conditioner(saved)
    assert isinstance(loaded, TokenConditioner)
    assert (loaded.size, loaded.summary) == (conditioner.size, conditioner.summary)
    captions = ["a smiling man with a Klingon", "glasses", "a bald woman with a bald man and a man"]
    assert torch.equal(loaded(captions), conditioner(captions))
    assert save_conditioner(loaded) == saved
