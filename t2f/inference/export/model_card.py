"""The model card of an exported model: usage, training data, evaluation, biases and limits.

It follows the conventions of the Hugging Face Hub (https://huggingface.co/docs/hub/model-cards): Markdown with YAML
metadata. `huggingface_hub.ModelCard` only fills in a template, and would make the Hub's client a requirement of every
export.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from hydra.utils import get_class

from t2f.conditioning.frozen_encoder import FrozenTextConditioner
from t2f.conditioning.sentences import TextConditioner
from t2f.data.datasets.avatars import Avatars
from t2f.data.datasets.origin import UNKNOWN_ORIGIN, Origin
from t2f.data.datasets.photographs import ImageDataset
from t2f.evaluation.metric_value import MetricValue
from t2f.evaluation.report import HEADINGS, markdown_table, row
from t2f.evaluation.runs import REPORTS, leaves
from t2f.inference.export.onnx import ONNX
from t2f.inference.export.program import PROGRAM
from t2f.inference.pipeline import Pipeline
from t2f.inference.trust import require_ours
from t2f.utils.errors import UserError
from t2f.utils.instantiate import from_yaml, to_yaml

REPORT = REPORTS[0]
OUT_OF_SCOPE = """\
- Identifying persons, generating the face of a certain person, or presenting a generated face as a photograph.
- Deception: do not use generated faces for profiles, accounts, witnesses or evidence.
- Judging people: what the model generates for a word shows a correlation in its training data. It shows nothing about
  how people with that trait look or are.
- Any use in which the correctness of a face matters: crime reports, medicine, forensics."""


def write_card(
    pipeline: Pipeline,
    name: str,
    on_hub: bool,
    differences: dict[str, float],
    report: dict[str, Any],
    path: Path,
) -> None:
    """Write the model card.

    `name` is what `t2f.load` accepts. `differences` has the largest absolute difference from the model of each exported
    file, `report` the report of `t2f evaluate`, if there is one.
    """
    config = from_yaml(pipeline.config)
    origin = find_origin(config)
    sections = [
        f"# {title(pipeline, config, name, on_hub)}",
        summary(pipeline, config),
        "## Usage",
        usage_with_t2f(pipeline, name, on_hub),
        *([usage_without_t2f(pipeline, differences)] if differences else []),
        "## Training data and licenses",
        origin.terms + encoder_license(pipeline),
        "## Evaluation",
        evaluation(report),
        "## Biases",
        origin.biases,
        "## Out-of-scope use",
        OUT_OF_SCOPE,
    ]
    text = f"---\n{hub_metadata(pipeline, origin)}---\n\n" + "\n\n".join(sections) + "\n"
    path.write_text(text, encoding="utf-8")


def find_origin(config: Any) -> Origin:
    """Return the origin that the data set's class declares, or `OWN` for a class outside `t2f.data`."""
    data = config.get("data") or {}
    try:
        require_ours(data, ("t2f.data",), (Avatars, ImageDataset))
        origin: Origin = getattr(get_class(data["_target_"]), "origin", UNKNOWN_ORIGIN)
        return origin
    except (KeyError, UserError):
        return UNKNOWN_ORIGIN


def hub_metadata(pipeline: Pipeline, origin: Origin) -> str:
    """Return the YAML metadata that the Hub indexes."""
    entries = {
        "license": origin.license,
        "license_name": origin.license_name,
        "license_link": origin.link if origin.license_name else None,
        "library_name": "t2f",
        "pipeline_tag": "text-to-image",
        "language": "en" if isinstance(pipeline.conditioner, TextConditioner) else None,
        "tags": ["t2f", "gan", "faces", "text-to-face"],
    }
    return to_yaml({key: value for key, value in entries.items() if value is not None})


def title(pipeline: Pipeline, config: Any, name: str, on_hub: bool) -> str:
    """Return the name on the Hub; for a folder, the run's name, its data set and its resolution."""
    if on_hub:
        return name.rpartition("/")[2]
    data = str((config.get("data") or {}).get("_target_", "")).rpartition(".")[2].lower()
    size = f"{pipeline.resolution}x{pipeline.resolution}"
    return f"t2f {config.get('name', '')} ({', '.join(filter(None, (data, size)))})"


def summary(pipeline: Pipeline, config: Any) -> str:
    """Describe the model in one paragraph."""
    size = f"{pipeline.resolution}x{pipeline.resolution}"
    networks = pipeline.networks
    count = sum(weights.numel() for weights in networks.parameters())
    parts = ", ".join(f"`{type(part).__name__}`" for part in (networks.encoder, networks.generator))
    loss = str(dict(leaves(config)).get("loss.adversarial._target_", "")).rpartition(".")[2]
    trained = f"; loss `{loss}`" if loss else ""
    fading = (
        "" if pipeline.alpha == 1 else f" Its highest resolution was fading in, with a weight of {pipeline.alpha:.2g}."
    )
    inputs = "a description" if isinstance(pipeline.conditioner, TextConditioner) else "a list of attributes"
    return (
        f"A GAN that generates faces of {size} pixels from {inputs}, such as `{pipeline.conditioner.example}` "
        f"({parts}; {count:,} parameters{trained}). Its training used {pipeline.images_seen:,} images.{fading} "
        "`config.json` contains every setting of the training."
    )


def usage_with_t2f(pipeline: Pipeline, name: str, on_hub: bool) -> str:
    """Return an installation command and an example in Python."""
    extras = [
        *(["hub"] if on_hub else []),
        *(["text"] if isinstance(pipeline.conditioner, FrozenTextConditioner) else []),
    ]
    package = f"'.[{','.join(extras)}]'" if extras else "."
    return f"""\
With t2f, in a clone of its repository: `pip install -e {package}`, then

```python
import t2f

pipe = t2f.load({json.dumps(name)})
images = pipe({json.dumps(pipeline.conditioner.example)}, count=8, seed=0)
images[0].save("face.png")
```"""


def usage_without_t2f(pipeline: Pipeline, differences: dict[str, float]) -> str:
    """Return examples in Python for the exported files, and their numerical differences from the model."""
    examples = {
        ONNX: f"""\
import onnxruntime

session = onnxruntime.InferenceSession("{ONNX}")
[images] = session.run(["images"], {{"condition": condition, "noise": noise}})""",
        PROGRAM: f"""\
import torch

generator = torch.export.load("{PROGRAM}").module()
images = generator(torch.from_numpy(condition), torch.from_numpy(noise)).numpy()""",
    }
    errors = ", ".join(f"{worst:.1e} (`{file}`)" for file, worst in differences.items())
    inference = "\n\nor\n\n".join(f"```python\n{examples[file]}\n```" for file in differences)
    imported = re.findall(r"^(?:from|import) (\w+)", pipeline.conditioner.example_code, re.MULTILINE)
    runtimes = {ONNX: "onnxruntime", PROGRAM: "torch"}
    packages = ["numpy", "pillow", *(each.replace("_", "-") for each in imported), *(runtimes[f] for f in differences)]
    return f"""\
Without t2f: `pip install {" ".join(dict.fromkeys(packages))}`, then run the following in this folder. The inputs are N
conditions and standard normal noise, float32 (N, {pipeline.noise_dim}). The output is float32 images
(N, 3, {pipeline.resolution}, {pipeline.resolution}), about [-1, 1].

```python
import json

import numpy as np
from PIL import Image

config = json.load(open("config.json", encoding="utf-8"))
{pipeline.conditioner.example_code}
noise = np.random.default_rng(0).standard_normal((len(condition), {pipeline.noise_dim})).astype(np.float32)
```

{inference}

```python
pixels = ((images + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
Image.fromarray(pixels[0].transpose(1, 2, 0)).save("face.png")
```

The export compared these files with PyTorch on the CPU, for batches of 1 to 16 images. The largest absolute difference
of a pixel was {errors}."""


def encoder_license(pipeline: Pipeline) -> str:
    """Return a sentence about a sentence encoder that is loaded separately."""
    if not isinstance(pipeline.conditioner, FrozenTextConditioner):
        return ""
    return f"\n\nThe sentence encoder `{pipeline.conditioner.name}` is not part of this model and has its own license."


def evaluation(report: dict[str, Any]) -> str:
    """Return the table of a report with the settings that it depends on."""
    if not report:
        return "This model has not been evaluated: `t2f evaluate` does it."
    table = markdown_table(HEADINGS, [row(MetricValue(**value)) for value in report["table"]])
    features = f" Features: {report['features']}." if report.get("features") else ""
    return "\n".join(
        [
            f"{report['count']:,} faces were generated from descriptions of held-out faces, with seed "
            f"{report['seed']}.{features} `{REPORT}` contains all settings of the evaluation. Compare values only with "
            "those for the same number of faces and the same features.",
            "",
            *table,
            *(f"- {note}" for note in report["notes"]),
        ]
    ).rstrip()
