"""The page of `t2f demo`: a description is typed, faces are seen."""

from __future__ import annotations

import html
import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from t2f.cli.generate import about, sheet_of
from t2f.inference.pipeline import Pipeline, understood
from t2f.utils.errors import UserError, require
from t2f.utils.images import png, to_pil, to_uint8

if TYPE_CHECKING:
    from gradio import Blocks

LONGEST = 300
LONGEST_TYPED = 2000  # longer than what is drawn, so that a text too long is told of and not silently cut
MOST = 16
LARGEST_SEED = 2**31 - 1
WAITING = 32
EXAMPLES = (
    "a smiling woman with long red hair and glasses",
    "a bald man with a beard",
    "a woman with short black hair",
    "a serious man with gray hair and a mustache",
    "a woman with blond hair and sunglasses",
    "a happy person with a hat",
)
# A face is 128 pixels wide, a multiple of all sizes that models draw, so that its pixels stay whole; eight fill a row.
STYLE = """
.gradio-container .main.app {max-width: 1144px}
.gradio-container .html-container {padding: 0}
.title h1 {font-size: 2.1rem; margin: 0 0 .2em}
.title p {font-size: 1.05rem}
.examples {gap: 8px; margin-bottom: 8px}
.examples button {flex: 0 1 auto; width: auto; min-width: 0; padding: 4px 12px; font-weight: 400; border-radius: 99px}
.note:empty {display: none}
.note.refused {color: #8a1c0f; background: #fde8e4; border: 1px solid #e0705c}
.note {margin: 0; padding: 8px 12px; border-radius: 8px; background: var(--background-fill-secondary)}
.faces {display: grid; grid-template-columns: repeat(auto-fill, 128px); gap: 8px; min-height: 128px}
.faces img {width: 128px; height: 128px; margin: 0; border-radius: 8px; image-rendering: pixelated}
.keep {display: inline-block; margin: 8px 0 0; padding: 0}
"""


class DemoSession:
    """What the page answers with: HTML that holds the pictures themselves, so that no file is written or served."""

    def __init__(self, pipeline: Pipeline, name: str) -> None:
        """`name`: of the model, as a downloaded picture tells it to anyone."""
        self.pipeline = pipeline
        self.name = name

    def examples(self) -> list[str]:
        """Descriptions to click, of which the model knows every word; at least its own example."""
        known = []
        for example in EXAMPLES:
            notes: list[str] = []
            try:
                understood([example], self.pipeline.conditioner, notes.append)
            except UserError:
                continue
            if not notes:
                known.append(example)
        return known or [self.pipeline.conditioner.example]

    def words(self) -> str:
        """Markdown: the words that the model knows, by what they are about."""
        known = self.pipeline.conditioner.known()
        return "\n".join(f"- **{topic}**: {', '.join(some)}" for topic, some in known.items())

    def draw(
        self, description: str, other: str, share: float, count: int, seed: int, truncation: float
    ) -> tuple[str, str]:
        """What its writer should know, and the faces: `count` at this share of the way from one description to another.

        All values come from a visitor. Raises `UserError` for what cannot be drawn.
        """
        require(within(share, 0, 1), "The way between two descriptions goes from 0 to 1.")
        require(within(count, 1, MOST), f"Choose from 1 to {MOST} faces.")
        require(within(seed, 0, LARGEST_SEED), f"The seed is a whole number from 0 to {LARGEST_SEED}: write one.")
        require(within(truncation, 0, 2), "The truncation goes from 0 to 2.")
        asked = [description or "", other or ""] if share > 0 else [description or ""]
        require(
            all(len(each) <= LONGEST for each in asked),
            f"A description may have at most {LONGEST} characters: shorten it.",
        )
        notes: list[str] = []
        asked = understood(asked, self.pipeline.conditioner, notes.append)
        ends = self.pipeline.embed(asked)
        words = torch.lerp(ends[0], ends[-1], share)
        noise = self.pipeline.noise(int(count), int(seed), truncation)
        faces = to_uint8(self.pipeline.generate(words.expand(len(noise), -1), noise))
        title = asked[0] if share == 0 else f"{asked[0]}  ->  {asked[1]}, {share:.0%}"
        settings = {"model": self.name, "seed": int(seed), "truncation": truncation, "count": int(count)}
        return as_note("; ".join(notes)), as_html(faces, title, about(asked, {**settings, "share": share}))


def within(value: object, least: float, most: float) -> bool:
    """Whether a value is there, and a number in these bounds; NaN is not."""
    return isinstance(value, int | float) and least <= value <= most


def as_note(what: str, refused: bool = False) -> str:
    """A line above the faces, in the color of an error if there are none."""
    kind, role = ("note refused", "alert") if refused else ("note", "status")
    return f'<p class="{kind}" role="{role}">{html.escape(what)}</p>'


def as_html(faces: Tensor, title: str, texts: dict[str, str]) -> str:
    """uint8 (N, 3, r, r) -> the faces, and a link that keeps them as one PNG."""
    alt = html.escape(title)
    pictures = "".join(f'<img src="{as_link(png(to_pil(face)))}" alt="{alt}">' for face in faces)
    sheet = as_link(png(sheet_of([title], faces[None]), texts))
    link = f'<a class="keep" download="faces.png" href="{sheet}">Download as PNG</a>'
    return f'<div class="faces">{pictures}</div>{link}'


def as_link(picture: bytes) -> str:
    """A PNG's content as an address."""
    return f"data:image/png;base64,{b64encode(picture).decode()}"


def page(studio: DemoSession) -> Blocks:
    """The page, of which nothing is drawn yet; it sends nothing anywhere but to its own server."""
    import gradio as gr

    def answer(*asked: Any) -> tuple[str, str]:
        """The note and the faces. A refusal clears the faces, which belong to another description."""
        try:
            return studio.draw(*asked)
        except UserError as error:
            return as_note(str(error), refused=True), ""

    examples = studio.examples()
    with gr.Blocks(title="Faces from words", analytics_enabled=False) as blocks:
        gr.Markdown("# Faces from words\nDescribe a face; a generative network draws it.", elem_classes="title")
        with gr.Row(equal_height=True):
            description = gr.Textbox(
                examples[0],
                label="Description",
                show_label=False,
                container=False,
                scale=8,
                elem_id="description",
                max_length=LONGEST_TYPED,
            )
            button = gr.Button("Draw", variant="primary", scale=1, min_width=100, elem_id="draw")
        with gr.Row(elem_classes="examples"):
            chosen = [gr.Button(example, size="sm") for example in examples]
        note = gr.HTML(elem_id="note")
        faces = gr.HTML(elem_id="faces")
        with gr.Row():
            other = gr.Textbox(
                examples[-1], label="Another description", max_length=LONGEST_TYPED, scale=1, elem_id="other"
            )
            share = gr.Slider(0, 1, 0, step=0.05, label="From the one to the other", scale=1, elem_id="share")
        with gr.Row():
            count = gr.Slider(1, MOST, 8, step=1, label="Faces", info="of one description", elem_id="count")
            seed = gr.Number(
                0,
                label="Seed",
                info="the same seed, the same persons",
                elem_id="seed",
                precision=0,
                minimum=0,
                maximum=LARGEST_SEED,
            )
            truncation = gr.Slider(
                0, 2, 1, step=0.05, label="Truncation", info="below 1: more typical faces", elem_id="truncation"
            )
        if known := studio.words():
            with gr.Accordion("Words that it knows", open=False, elem_id="words"):
                gr.Markdown(known)
        drawing: dict[str, Any] = {
            "fn": answer,
            "inputs": [description, other, share, count, seed, truncation],
            "outputs": [note, faces],
            "concurrency_id": "drawing",
            "concurrency_limit": 1,
            "show_progress": "hidden",
            "api_visibility": "private",
        }
        for example, each in zip(examples, chosen, strict=True):
            each.click(None, js=f"() => [{json.dumps(example)}, 0]", outputs=[description, share]).then(**drawing)
        # Of a flood of clicks the one under way and the last count.
        gr.on(
            [blocks.load, button.click, description.submit, other.submit]
            + [each.input for each in (share, count, seed, truncation)],
            trigger_mode="always_last",
            **drawing,
        )
    blocks.queue(max_size=WAITING)
    return blocks
