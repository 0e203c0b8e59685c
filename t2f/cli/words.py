"""The words that a model knows."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from t2f.cli.generate import by, tell
from t2f.inference.load import load


def words(model: str) -> None:
    """Print a table of the words, by what they are about, with a description to try."""
    conditioner = load(model).conditioner
    known = conditioner.known()
    if known:
        table = Table("about", "words", title=f"What {by(model)} knows", show_lines=True)
        for topic, some in known.items():
            table.add_row(topic, ", ".join(some))
        Console().print(table, markup=False)
    else:
        tell(f"What {by(model)} knows is up to its sentence encoder, which reads any words.")
    tell(f"Try: {conditioner.example}")
