import random
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from t2f.conditioning.base import load_conditioner, save_conditioner
from t2f.conditioning.sentences import TokenConditioner
from t2f.data.captions.describe import describe
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
def words() -> TokenConditioner:
    return TokenConditioner.fit(make_faces(), vocabulary=100, max_tokens=6)


def test_a_face_fits_each_of_its_captions_and_none_where_nobody_described_it(words: TokenConditioner) -> None:
    conditions = words.of(make_faces())
    assert conditions.counts.tolist() == [0, 2, 0, 1, 1]
    assert conditions.rotation_k.tolist() == [0] * 4
    captions = ["a smiling man", "a man", "a bald man with glasses", "a woman"]
    assert conditions.rows.dtype == torch.int64
    assert conditions.rows.shape == (4, 6)
    assert torch.equal(conditions.rows, words(captions))
    assert [words.tokenizer.tokenizer.decode(row.tolist()) for row in conditions.rows] == [
        f"{caption} ." for caption in captions
    ]


def test_the_words_are_those_of_all_captions(words: TokenConditioner) -> None:
    distinct = {word for captions in CAPTIONS for caption in captions for word in caption.split()}
    assert words.size == len(distinct) + 3  # padding, the unknown word and the full stop
    assert words.summary == f"{words.size} words"
    few = TokenConditioner.fit(make_faces(), vocabulary=5, max_tokens=6)
    assert few.size == 5
    assert few.notes("a man, a woman") == [
        "left out, since the model learnt no word for it: man, woman or anyone (woman)"
    ]


def test_examples_are_the_first_captions_of_the_first_described_faces(words: TokenConditioner) -> None:
    examples = words.examples(make_faces(), 2)
    assert [(each.description, each.face, each.rotation_k) for each in examples] == [
        ("a smiling man", 1, 0),
        ("a bald man with glasses", 3, 0),
    ]
    assert len(words.examples(make_faces(), 100)) == 3
    assert (examples[1].shown(make_faces()) == 3).all()
    assert words.examples(make_faces([[], []]), 2) == []


def test_an_exam_asks_only_for_what_its_captions_say(words: TokenConditioner) -> None:
    faces = make_faces()
    prompt_set = words.prompt_set(faces, 12, seed=3)
    assert prompt_set.faces.tolist() == [row % 5 for row in range(12)]
    assert prompt_set.expected.dtype == torch.int8
    for row in range(12):
        truth = dict(zip(NAMES, map(int, faces.attributes[row % 5]), strict=True))
        caption = describe(truth, random.Random(f"evaluation 3 {row}"))
        assert prompt_set.descriptions[row] == caption.text
        expected = dict(zip(NAMES, prompt_set.expected[row].tolist(), strict=True))
        assert {name: value for name, value in expected.items() if value >= 0} == caption.expected
        assert all(value == truth[name] for name, value in expected.items() if value >= 0)
    assert (prompt_set.expected >= 0).any()
    assert (prompt_set.expected < 0).any()


def test_an_exam_of_another_seed_has_other_captions(words: TokenConditioner) -> None:
    one, other = words.prompt_set(make_faces(), 12, seed=0), words.prompt_set(make_faces(), 12, seed=1)
    assert one.descriptions != other.descriptions


def test_without_attributes_an_exam_is_of_the_faces_own_captions(words: TokenConditioner) -> None:
    faces = make_faces([["a man", "someone"], [], ["a woman"]], names=[])
    prompt_set = words.prompt_set(faces, 40, seed=0)
    assert prompt_set.expected.shape == (40, 0)
    assert set(prompt_set.faces.tolist()) == {0, 2}
    assert all(
        text in faces.captions[face] for text, face in zip(prompt_set.descriptions, prompt_set.faces, strict=True)
    )
    assert set(prompt_set.descriptions) == {"a man", "someone", "a woman"}
    assert prompt_set.descriptions == words.prompt_set(faces, 40, seed=0).descriptions


def test_attributes_that_no_sentence_speaks_of_leave_the_faces_own_captions(words: TokenConditioner) -> None:
    prompt_set = words.prompt_set(make_faces([["a man"], ["a woman"], ["a man"]], names=["Dimples"]), 6, seed=0)
    assert set(prompt_set.descriptions) == {"a man", "a woman"}
    assert (prompt_set.expected == -1).all()


def test_an_exam_needs_words(words: TokenConditioner) -> None:
    with pytest.raises(UserError, match="None of the faces held out is described"):
        words.prompt_set(make_faces([[], []], names=[]), 6, seed=0)


def test_faces_that_nobody_described_cannot_be_learnt_from() -> None:
    with pytest.raises(UserError, match=r"no descriptions to learn from: choose conditioning=attributes"):
        TokenConditioner.fit(make_faces([[], [], []]), vocabulary=100, max_tokens=6)


def test_words_that_no_caption_had_are_noted(words: TokenConditioner) -> None:
    assert words.notes("a smiling man") == []
    assert words.notes("A Smiling MAN!") == []
    assert words.notes("a smiling Klingon with a moustache") == [
        "left out, since the model's training data say nothing of it: beard and mustache (moustache)",
        "not among the words of training, so ignored: Klingon",
    ]
    assert words.notes("a smiling womann") == ["read 'womann' as 'woman'"]


def test_unknown_words_are_left_out_of_what_is_drawn(words: TokenConditioner) -> None:
    assert torch.equal(words(["a smiling Klingon man"]), words(["a smiling man"]))
    assert torch.equal(words(["a grinning gentleman"]), words(["a smiling man"]))


def test_a_long_description_is_read_to_its_end(words: TokenConditioner) -> None:
    """The training captions are cut at six tokens."""
    one, other = words(["a man, a man, a man, a man with glasses", "a man, a man, a man, a man, bald"])
    assert len(one) > 6
    assert not torch.equal(one, other)


def test_a_description_of_unknown_words_only_is_refused(words: TokenConditioner) -> None:
    with pytest.raises(
        UserError, match="trained on none of the words of 'zwölf Boxkämpfer': describe the face"
    ) as said:
        words.notes("zwölf Boxkämpfer")
    assert words.example in str(said.value)
    assert "glasses (glasses)" in str(said.value)
    with pytest.raises(UserError, match="none of the words of 'old', since its training data say nothing of age"):
        words.notes("old")


def test_a_description_without_words_is_refused(words: TokenConditioner) -> None:
    with pytest.raises(UserError, match="'🙂 !\\?' has no words: describe the face"):
        words.notes("🙂 !?")


def test_the_example_is_one_of_the_captions_own(words: TokenConditioner) -> None:
    """It was one of red hair and glasses for every model, whatever it was trained on."""
    assert words.example == "a bald man with glasses"
    flowers = TokenConditioner.fit(
        make_faces([["A tulip, \n yellow as the sun."], ["A rose."]]), vocabulary=100, max_tokens=6
    )
    assert flowers.example == "a tulip, yellow as the sun"
    assert flowers.notes(flowers.example) == []
    assert load_conditioner(save_conditioner(flowers)).example == flowers.example


@pytest.mark.parametrize("vocabulary", [8, 10, 15, 20, 30, 60, 200])
def test_the_example_of_a_few_words_is_understood(vocabulary: int) -> None:
    """It is printed after a run, and in errors, as what to type."""
    rng = random.Random(0)
    names = ["Male", "Smiling", "Eyeglasses", "Bald", "Wearing_Hat", "No_Beard"]
    described = [[describe({name: rng.randint(0, 1) for name in names}, rng).text] for _ in range(200)]
    words = TokenConditioner.fit(make_faces(described, names), vocabulary, max_tokens=30)
    assert words.notes(words.example) == []


def test_a_vocabulary_without_a_word_that_describes_is_refused() -> None:
    captions = [["a tall tulip with a leaf"], ["a tulip with a bud"], ["a rose with a thorn"]]
    with pytest.raises(UserError, match="vocabulary is 4: that keeps words such as 'a' and 'with' alone"):
        TokenConditioner.fit(make_faces(captions), vocabulary=4, max_tokens=6)


def test_a_model_that_keeps_no_example_has_one_that_it_understands(words: TokenConditioner) -> None:
    flowers = TokenConditioner.fit(make_faces([["A tulip."], ["A red tulip."]]), vocabulary=100, max_tokens=6)
    for conditioner in (words, flowers):
        saved = save_conditioner(conditioner)
        del saved["example"]
        older = load_conditioner(saved)
        assert older.notes(older.example) == []


def test_known_words_are_told_by_topic(words: TokenConditioner) -> None:
    assert words.known()["glasses"] == ["glasses"]
    assert "bald" in words.known()["hair"]


def test_an_empty_description_is_refused(words: TokenConditioner) -> None:
    with pytest.raises(UserError, match="Description 2 is empty"):
        words(["a man", " "])


def test_saved_and_loaded_it_reads_the_same(words: TokenConditioner) -> None:
    saved = save_conditioner(words)
    assert saved["class"] == "t2f.conditioning.sentences.TokenConditioner"
    assert saved["max_tokens"] == 6
    loaded = load_conditioner(saved)
    assert isinstance(loaded, TokenConditioner)
    assert (loaded.size, loaded.summary) == (words.size, words.summary)
    captions = ["a smiling man with a Klingon", "glasses", "a bald woman with a bald man and a man"]
    assert torch.equal(loaded(captions), words(captions))
    assert save_conditioner(loaded) == saved
