import pytest
import torch

from t2f.text.tokenizer import WordTokenizer
from t2f.utils.errors import UserError

ODD = ["~", " $", "\u2764\ufe0f", "\U0001f600", "\u200b.", "\x00", " \U0001f469\u200d\U0001f4bb!"]
CAPTIONS = ["A smiling woman with red hair.", "A man with a beard, smiling.", "The man has red hair"]


@pytest.fixture
def tokenizer() -> WordTokenizer:
    return WordTokenizer.train(CAPTIONS, vocabulary=100, max_tokens=8)


def words(tokenizer: WordTokenizer, caption: str) -> list[str]:
    """Decode the token ids of a caption, without padding."""
    names = {number: word for word, number in tokenizer.tokenizer.get_vocab().items()}
    return [names[int(number)] for number in tokenizer([caption])[0] if number != 0]


def test_rows_are_padded_with_zeros_at_the_end(tokenizer: WordTokenizer) -> None:
    rows = tokenizer(["red hair", "a man with a beard"])
    assert rows.dtype == torch.int64
    assert rows.shape == (2, 8)
    assert (rows != 0).tolist() == [[True] * 3 + [False] * 5, [True] * 6 + [False] * 2]


def test_padding_and_unknown_have_the_first_two_ids(tokenizer: WordTokenizer) -> None:
    vocabulary = tokenizer.tokenizer.get_vocab()
    assert vocabulary["[PAD]"] == 0
    assert vocabulary["[UNK]"] == 1
    assert sorted(vocabulary.values()) == list(range(len(tokenizer)))


def test_every_word_of_the_captions_has_its_own_id(tokenizer: WordTokenizer) -> None:
    vocabulary = {"a", "smiling", "woman", "with", "red", "hair", ".", "man", "beard", ",", "the", "has"}
    assert set(tokenizer.tokenizer.get_vocab()) == vocabulary | {"[PAD]", "[UNK]"}
    assert len(tokenizer) == 14


def test_words_and_punctuation_are_separate_tokens_in_order(tokenizer: WordTokenizer) -> None:
    assert words(tokenizer, "The man, smiling. Red hair!") == ["the", "man", ",", "smiling", ".", "red", "hair", "."]


@pytest.mark.parametrize(
    "ending", ["", ".", " .", "!", "...", "?!", ",", ")", " \n", "\u3002", "\u2026", "." * 9999, *ODD]
)
def test_every_ending_is_read_as_a_full_stop(tokenizer: WordTokenizer, ending: str) -> None:
    """Most training captions end in a full stop, most descriptions of users do not."""
    assert words(tokenizer, f"a man, smiling{ending}") == ["a", "man", ",", "smiling", "."]


def test_case_and_character_width_are_normalized(tokenizer: WordTokenizer) -> None:
    expected = tokenizer(["red hair"])
    assert torch.equal(tokenizer(["RED Hair"]), expected)
    assert torch.equal(tokenizer(["\uff32\uff45\uff44 hair"]), expected)  # full-width letters: NFKC


def test_unknown_words_share_id_one(tokenizer: WordTokenizer) -> None:
    red, stop = tokenizer(["red"])[0, :2].tolist()
    assert tokenizer(["klingon red wookiee"])[0, :5].tolist() == [1, red, 1, stop, 0]


def test_long_captions_are_truncated(tokenizer: WordTokenizer) -> None:
    long = tokenizer(["a man with red hair with red hair with a beard"])
    assert long.shape == (1, 8)
    assert torch.equal(long, tokenizer(["a man with red hair with red hair"]))


def test_vocabulary_keeps_the_most_frequent_words() -> None:
    tokenizer = WordTokenizer.train(["hat hat hat hat", "beard beard", "nose"], vocabulary=5, max_tokens=4)
    assert len(tokenizer) == 5
    assert words(tokenizer, "hat beard nose") == ["hat", "beard", "[UNK]", "."]


def test_training_twice_gives_the_same_ids() -> None:
    """The order of equally frequent words must be deterministic."""
    captions = [f"word{number}" for number in range(300)]
    one, other = (WordTokenizer.train(captions, 200, 4) for _ in range(2))
    assert one.to_json() == other.to_json()


def test_json_round_trip(tokenizer: WordTokenizer) -> None:
    again = WordTokenizer.from_json(tokenizer.to_json(), max_tokens=8)
    captions = [*CAPTIONS, "a klingon", "HAT"]
    assert torch.equal(again(captions), tokenizer(captions))
    assert len(again) == len(tokenizer)
    assert again.to_json() == tokenizer.to_json()


def test_the_row_length_can_be_changed_when_loading(tokenizer: WordTokenizer) -> None:
    shorter = WordTokenizer.from_json(tokenizer.to_json(), max_tokens=3)
    assert torch.equal(shorter(CAPTIONS), tokenizer(CAPTIONS)[:, :3])


@pytest.mark.parametrize("empty", ["", "   ", "\n\t"])
def test_an_empty_description_is_an_error_with_its_number(tokenizer: WordTokenizer, empty: str) -> None:
    with pytest.raises(UserError, match="Description 2 is empty: write at least one word"):
        tokenizer(["a man", empty])


def test_no_captions_give_no_rows(tokenizer: WordTokenizer) -> None:
    assert tokenizer([]).shape == (0, 8)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("Улыбчивая ЖЕНЩИНА", ["улыбчивая", "женщина"]),
        ("微笑的女人。戴眼镜", ["微笑的女人", "。", "戴眼镜"]),
        ("मुस्कुराती हुई महिला", ["मुस्कुराती", "हुई", "महिला"]),
        ("امرأة مبتسمة", ["امرأة", "مبتسمة"]),
        ("Une femme à lunettes", ["une", "femme", "à", "lunettes"]),
    ],
)
def test_words_of_other_scripts(caption: str, expected: list[str]) -> None:
    assert words(WordTokenizer.train([caption], 100, 8), caption) == [*expected, "."]


def test_composed_and_decomposed_letters_are_equal() -> None:
    tokenizer = WordTokenizer.train(["se\u00f1or"], 100, 4)
    assert torch.equal(tokenizer(["sen\u0303or"]), tokenizer(["se\u00f1or"]))
    assert words(tokenizer, "sen\u0303or") == ["se\u00f1or", "."]


def test_tokens_keep_their_spelling(tokenizer: WordTokenizer) -> None:
    tokens = tokenizer.tokens("A Klingon; isn't RED-haired & Ñandú")
    assert [token.text for token in tokens] == ["a", "klingon", ";", "is", "not", "red", "haired", "and", "ñandú", "."]
    assert [token.spelling for token in tokens][:2] == ["A", "Klingon"]
    assert tokens[8].spelling == "Ñandú"


def test_tokens_are_not_truncated(tokenizer: WordTokenizer) -> None:
    assert len(tokenizer.tokens("red " * 100)) == 101


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("He isn't smiling", "he is not smiling"),
        ("He isn\u2019t smiling", "he is not smiling"),
        ("doesnt, hasn't, haven't, aren't", "does not, has not, have not, are not"),
        ("can't won't ain't", "can not will not is not"),
        ("she's who's it's", "she is who is it is"),
        ("he's got", "he has got"),
        ("w/ glasses w/o hat", "with glasses without hat"),
        ("the man's", "the man"),
        ("I'd like", "i would like"),
        ("clean-shaven", "clean shaven"),
        ("red - blond", "red - blond"),
    ],
)
def test_contractions_and_hyphens_are_expanded_in_training(typed: str, expected: str) -> None:
    tokenizer = WordTokenizer.train([typed], vocabulary=100, max_tokens=20)
    assert words(tokenizer, typed) == words(tokenizer, expected)
    assert "[UNK]" not in words(tokenizer, expected)


def test_rows_of_word_lists_have_the_length_of_the_longest(tokenizer: WordTokenizer) -> None:
    rows = tokenizer.encode_words([["red", "hair"], ["red"] * 20])
    assert rows.shape == (2, 20)
    assert (rows != 0).sum(1).tolist() == [2, 20]
    assert tokenizer.encode_words([["red"]]).shape == (1, 8)
    assert tokenizer.encode_words([]).shape == (0, 8)
