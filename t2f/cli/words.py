"""The command `t2f words`."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from t2f.cli.generate import describe_model, print_result
from t2f.inference.load import load


def words(model: str) -> None:
    """Print the vocabulary of a model by topic, and an example description."""
    conditioner = load(model).conditioner
    vocabulary = conditioner.known_words()
    if vocabulary:
        table = Table("topic", "words", title=f"Vocabulary of {describe_model(model)}", show_lines=True)
        for topic, terms in vocabulary.items():
            table.add_row(topic, ", ".join(terms))
        Console().print(table, markup=False)
    else:
        print_result(f"No fixed vocabulary: the sentence encoder of {describe_model(model)} accepts any words.")
    print_result(f"Example: {conditioner.example}")
