"""The origin of a data set: license, terms of use and known biases, for model cards."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """License, terms and biases of a data set.

    Args:
        license: license identifier of the Hugging Face Hub for models trained on the data, such as "mit" or "other".
        license_name: name of the license if `license` is "other".
        link: address of the terms.
        terms: sentences about the terms of use.
        biases: sentences about known biases.
    """

    license: str
    license_name: str | None
    link: str | None
    terms: str
    biases: str


UNKNOWN_ORIGIN = Origin(
    license="unknown",
    license_name=None,
    link=None,
    terms="Private images and texts, whose terms are unknown: ask the author of the model. The people in the images "
    "may have rights in them.",
    biases="The model generates poorly what is rare in these data, and it repeats the judgments about people in their "
    "texts and labels. The author of the model should describe the data here.",
)
