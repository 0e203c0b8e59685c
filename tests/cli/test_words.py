from pathlib import Path

import pytest

from t2f.cli.demo_page import DemoSession
from t2f.cli.words import words
from t2f.inference.load import load


def test_the_vocabulary_is_shown_by_topic(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    words(model)
    output = capsys.readouterr().out
    vocabulary = load(model).conditioner.known_words()
    assert vocabulary
    for topic, terms in vocabulary.items():
        assert topic.split()[0] in output
        assert terms[0] in output
    assert load(model).conditioner.example.split()[0] in output


def test_the_pretrained_model_has_a_wide_vocabulary(capsys: pytest.CaptureFixture[str]) -> None:
    words("pretrained")
    output = " ".join(capsys.readouterr().out.split())
    for word in ("girl", "guy", "brunette", "specs", "grinning", "hair color", "beard and mustache"):
        assert word in output


def test_the_demo_page_lists_the_vocabulary(model: str) -> None:
    pipeline = load(model)
    listed = DemoSession(pipeline, Path(model).name).vocabulary()
    assert len(listed.splitlines()) == len(pipeline.conditioner.known_words())
    assert all(f"**{topic}**" in listed for topic in pipeline.conditioner.known_words())
