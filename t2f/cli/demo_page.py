"""The page of `t2f demo`: a form for descriptions and the generated images."""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from t2f.cli.generate import build_sheet, png_text
from t2f.inference.pipeline import MAX_TRUNCATION, Pipeline, validate_descriptions
from t2f.utils.errors import UserError, require
from t2f.utils.images import png, to_pil, to_uint8

if TYPE_CHECKING:
    from gradio import Blocks

MAX_LENGTH = 300  # characters of a description
MAX_TYPED = 2000  # limit of the text field; above MAX_LENGTH, so that a long text is reported instead of cut silently
MAX_COUNT = 16
MAX_SEED = 2**31 - 1
QUEUE_SIZE = 32
EXAMPLES = (
    "a young woman with blond hair, heavy makeup and high cheekbones, who is smiling",
    "a man with black hair, thick eyebrows and a beard, who is serious",
    "an attractive woman with brown hair, bangs and rosy cheeks",
    "a smiling woman with long red hair and glasses",
    "a bald man with a beard",
    "a woman with short black hair",
    "a serious man with gray hair and a mustache",
    "a woman with blond hair and sunglasses",
    "a happy person with a hat",
)
# An image is 128 pixels wide, a multiple of the usual resolutions, so that pixels are scaled by an integer; eight fill
# a row.
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
    """Answers of the page as HTML. Images are embedded as data URLs, so no file is written or served.

    Args:
        pipeline: the model.
        name: name of the model, written into downloaded PNG files.
    """

    def __init__(self, pipeline: Pipeline, name: str) -> None:
        self.pipeline = pipeline
        self.name = name

    def examples(self) -> list[str]:
        """Return the example descriptions that the model accepts without a note, or else its own example."""
        accepted = []
        for example in EXAMPLES:
            notes: list[str] = []
            try:
                validate_descriptions([example], self.pipeline.conditioner, notes.append)
            except UserError:
                continue
            if not notes:
                accepted.append(example)
        return accepted or [self.pipeline.conditioner.example]

    def vocabulary(self) -> str:
        """List the model's vocabulary by topic as Markdown."""
        vocabulary = self.pipeline.conditioner.known_words()
        return "\n".join(f"- **{topic}**: {', '.join(terms)}" for topic, terms in vocabulary.items())

    def generate(
        self, description: str, other: str, weight: float, count: int, seed: int, truncation: float
    ) -> tuple[str, str]:
        """Generate images from a description, or from an interpolation between two. All arguments are untrusted.

        Args:
            description: the description at weight 0.
            other: the description at weight 1; ignored at weight 0.
            weight: position between the two embeddings, in [0, 1].
            count: number of images, in [1, 16].
            seed: seed of the noise, in [0, 2**31 - 1].
            truncation: factor in [0, 2] that scales the noise.

        Returns:
            The notes about the descriptions, and the images, both as HTML.

        Raises:
            UserError: an argument is invalid.
        """
        require(is_between(weight, 0, 1), "The position between the two descriptions must be from 0 to 1.")
        require(is_between(count, 1, MAX_COUNT), f"The number of faces must be from 1 to {MAX_COUNT}.")
        require(is_between(seed, 0, MAX_SEED), f"The seed must be a whole number from 0 to {MAX_SEED}.")
        require(is_between(truncation, 0, MAX_TRUNCATION), f"The truncation must be from 0 to {MAX_TRUNCATION:g}.")
        descriptions = [description or "", other or ""] if weight > 0 else [description or ""]
        require(
            all(len(each) <= MAX_LENGTH for each in descriptions),
            f"A description may have at most {MAX_LENGTH} characters: shorten it.",
        )
        notes: list[str] = []
        descriptions = validate_descriptions(descriptions, self.pipeline.conditioner, notes.append)
        embeddings = self.pipeline.embed(descriptions)
        embedding = torch.lerp(embeddings[0], embeddings[-1], weight)
        noise = self.pipeline.noise(int(count), int(seed), truncation)
        images = to_uint8(self.pipeline.generate(embedding.expand(len(noise), -1), noise))
        title = descriptions[0] if weight == 0 else f"{descriptions[0]}  ->  {descriptions[1]}, {weight:.0%}"
        settings = {"model": self.name, "seed": int(seed), "truncation": truncation, "count": int(count)}
        text = png_text(descriptions, {**settings, "weight": weight})
        return note_html("; ".join(notes)), images_html(images, title, text)


def is_between(value: object, minimum: float, maximum: float) -> bool:
    """Return whether an untrusted value is a number in [minimum, maximum]; NaN is not."""
    return isinstance(value, int | float) and minimum <= value <= maximum


def note_html(note: str, error: bool = False) -> str:
    css_class, role = ("note refused", "alert") if error else ("note", "status")
    return f'<p class="{css_class}" role="{role}">{html.escape(note)}</p>'


def images_html(images: Tensor, title: str, text: dict[str, str]) -> str:
    """uint8 (N, 3, r, r) -> the images, and a link that downloads them as one PNG with `text` in its metadata."""
    alt = html.escape(title)
    elements = "".join(f'<img src="{data_url(png(to_pil(image)))}" alt="{alt}">' for image in images)
    sheet = data_url(png(build_sheet([title], images[None]), text))
    link = f'<a class="keep" download="faces.png" href="{sheet}">Download as PNG</a>'
    return f'<div class="faces">{elements}</div>{link}'


def data_url(content: bytes) -> str:
    return f"data:image/png;base64,{b64encode(content).decode()}"


def build_page(sessions: Mapping[str, DemoSession]) -> Blocks:
    """Build the page. It loads nothing from other servers.

    Args:
        sessions: at least one model by its name; if there are several, a visitor chooses one of them.
    """
    import gradio as gr

    def answer(name: str, *inputs: Any) -> tuple[str, str]:
        """Return the note and the images. An error removes the images of the previous description."""
        try:
            require(isinstance(name, str) and name in sessions, "There is no such model: choose one on the page.")
            return sessions[name].generate(*inputs)
        except UserError as error:
            return note_html(str(error), error=True), ""

    def switch(name: str) -> list[Any]:
        """Return the vocabulary and the examples of the chosen model."""
        session = sessions[name]
        found = session.examples()
        hidden = len(example_buttons) - len(found)
        buttons = [gr.Button(example, visible=True) for example in found] + hidden * [gr.Button(visible=False)]
        return [session.vocabulary(), found[0], found[-1], *buttons]

    first = next(iter(sessions))
    examples = sessions[first].examples()
    most_examples = max(len(session.examples()) for session in sessions.values())
    with gr.Blocks(title="Text to face", analytics_enabled=False) as blocks:
        gr.Markdown("# Text to face\nDescribe a face, and a GAN generates it.", elem_classes="title")
        model = gr.Radio(
            list(sessions), value=first, label="Model", visible=len(sessions) > 1, elem_id="model", interactive=True
        )
        with gr.Row(equal_height=True):
            description = gr.Textbox(
                examples[0],
                label="Description",
                show_label=False,
                container=False,
                scale=8,
                elem_id="description",
                max_length=MAX_TYPED,
            )
            button = gr.Button("Generate", variant="primary", scale=1, min_width=100, elem_id="generate")
        with gr.Row(elem_classes="examples"):
            example_buttons = [gr.Button(example, size="sm") for example in examples]
            example_buttons += [gr.Button(visible=False, size="sm") for _ in range(most_examples - len(examples))]
        note = gr.HTML(elem_id="note")
        faces = gr.HTML(elem_id="faces")
        with gr.Row():
            other = gr.Textbox(examples[-1], label="Second description", max_length=MAX_TYPED, scale=1, elem_id="other")
            weight = gr.Slider(0, 1, 0, step=0.05, label="From the first to the second", scale=1, elem_id="weight")
        with gr.Row():
            count = gr.Slider(1, MAX_COUNT, 8, step=1, label="Faces", info="number of images", elem_id="count")
            seed = gr.Number(
                0,
                label="Seed",
                info="of the noise: the same seed gives the same faces",
                elem_id="seed",
                precision=0,
                minimum=0,
                maximum=MAX_SEED,
            )
            truncation = gr.Slider(
                0,
                MAX_TRUNCATION,
                1,
                step=0.05,
                label="Truncation",
                info="below 1: less diverse, more typical faces",
                elem_id="truncation",
            )
        has_vocabulary = any(session.vocabulary() for session in sessions.values())
        with gr.Accordion("Vocabulary", open=False, elem_id="vocabulary", visible=has_vocabulary):
            vocabulary = gr.Markdown(sessions[first].vocabulary())
        event: dict[str, Any] = {
            "fn": answer,
            "inputs": [model, description, other, weight, count, seed, truncation],
            "outputs": [note, faces],
            "concurrency_id": "generate",
            "concurrency_limit": 1,
            "show_progress": "hidden",
            "api_visibility": "private",
        }
        for example_button in example_buttons:
            example_button.click(
                None, js="example => [example, 0]", inputs=example_button, outputs=[description, weight]
            ).then(**event)
        if len(sessions) > 1:
            outputs = [vocabulary, description, other, *example_buttons]
            model.input(switch, model, outputs, api_visibility="private", show_progress="hidden").then(**event)
        # "always_last" handles the running event and the last one, and skips those between.
        gr.on(
            [blocks.load, button.click, description.submit, other.submit]
            + [each.input for each in (weight, count, seed, truncation)],
            trigger_mode="always_last",
            **event,
        )
    blocks.queue(max_size=QUEUE_SIZE)
    return blocks
