"""What a data set's owners ask of those who use it, and what is one-sided in it: for the cards of models."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """Where faces come from, in sentences for a model card.

    `license` and `license_name` are what the Hugging Face Hub shows of a model trained on them, `link` where the data's
    terms stand.
    """

    license: str
    license_name: str | None
    link: str | None
    terms: str
    biases: str


OWN = Origin(
    license="unknown",
    license_name=None,
    link=None,
    terms="Pictures and texts of the trainer's own, of which this card knows no terms: ask whoever trained the model. "
    "Those who are shown may have rights in their pictures, too.",
    biases="What is rare in these data is drawn badly or not at all, and whatever their texts and labels judge of "
    "people, the model repeats. Whoever trained it should say here what they hold.",
)
