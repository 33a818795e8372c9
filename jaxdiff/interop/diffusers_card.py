"""The model card of a folder that is written for diffusers, its README.md."""

import json

from jaxdiff.interop.trained import Trained

__all__ = ["card"]

CARD = """---
license: {licence}
library_name: diffusers
tags:
- jaxdiff
---

# {title}

Trained with jaxdiff, and written for diffusers. `jaxdiff.json` is the whole config of
the run; `launch.convert --from=FOLDER` makes a run of this folder again.

```python
{code}
```

{note}
## Training

- data: {data}, {shape} numbers for each example
- {step} steps of {batch} examples, {optimizer}, learning rate {lr}, seed {seed}
- average of the parameters: {ema}

## Figures

{figures}

## Config

```json
{config}
```
"""
TITLES = {
    "DDIMPipeline": "A diffusion model",
    "DDPMPipeline": "A diffusion model with learned variances",
    "LDMPipeline": "A latent diffusion model",
    "AutoencoderKL": "A variational autoencoder",
}
PIPELINE = """from diffusers import {kind}

pipe = {kind}.from_pretrained("FOLDER")
images = pipe({how}).images"""
CODER = """from diffusers import AutoencoderKL

coder = AutoencoderKL.from_pretrained("FOLDER")
z = coder.encode(x).latent_dist.mode()    # x: (b, c, h, w) in [-1, 1]
x = coder.decode(z).sample"""
LABELS = """import torch
from diffusers import DiffusionPipeline

pipe = DiffusionPipeline.from_pretrained("FOLDER")
pipe.scheduler.set_timesteps(50)
labels = torch.arange({rows}) % {rows}    # the pipeline itself takes no labels
x = torch.randn(len(labels), {channels}, {height}, {width})
for t in pipe.scheduler.timesteps:
    out = pipe.unet(x, t, class_labels=labels).sample
    x = pipe.scheduler.step(out, t, x{how}).prev_sample"""
NULL = """Label {null} means "no label": guidance of scale s is
`out = none + s * (out - none)`, where `none` is the output for that label.
"""


def card(kind: str, run: Trained, licence: str) -> str:
    """The text. kind: the class of the pipeline, or of the network alone."""
    f, (height, width, channels) = run.fields, run.shape
    same = {"DDIMPipeline": "use_clipped_model_output=True"}.get(kind, "")
    size = {"rows": run.rows, "height": height, "width": width, "channels": channels}
    code, note = PIPELINE.format(kind=kind, how=f"batch_size=4, {same}".strip(", ")), ""
    if kind == "AutoencoderKL":
        code = CODER
    elif run.rows:
        code = LABELS.format(**size, how=f", {same}" if same else "")
        dropped = f["diffusion.label_dropout"] > 0
        note = NULL.format(null=run.rows - 1) if dropped else ""
    figures = "\n".join(f"- {name}: {value:.6g}" for name, value in run.figures.items())
    blocks = {name: run.config[name] for name in ("model", "diffusion")}
    return CARD.format(
        licence=licence,
        title=TITLES[kind],
        code=code,
        note=note,
        data=f["data.dataset"] or f["data.name"],
        shape=" x ".join(map(str, run.shape)),
        step=run.step,
        batch=f["train.batch_size"],
        optimizer=f["train.optimizer"],
        lr=f["train.lr"],
        seed=f["seed"],
        ema=f["train.ema"],
        figures=figures or "none",
        config=json.dumps(blocks, indent=2, default=list),
    )
