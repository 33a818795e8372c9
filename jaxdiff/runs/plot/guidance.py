"""What guidance does: samples of a class at rising scales, and a judge's word on them.

Three ways to the same label: a classifier guides the model without its label, or with
it, and the model guides itself away from what it does without (classifier-free).
"""

from pathlib import Path

import numpy as np

from jaxdiff.plots import curves, pictures
from jaxdiff.runs.evaluate import features as judge
from jaxdiff.runs.plot.spec import Kind, Scene, judged_kind, save_figures

SCALES = (0.0, 1.0, 2.0, 4.0, 8.0)
# Images that a share is taken of, at each scale of each way.
MANY = 500


def ways(scene: Scene) -> dict[str, dict[float, dict]]:
    """Name -> scale -> fields of config.sampler, of the ways that the run allows."""
    classifier, null = scene.config.sampler.classifier, scene.trained.task.null
    found = {}

    def by(**fields):
        return {scale: _filled(fields, scale) for scale in SCALES}

    if classifier and null is not None:
        found["classifier, model without label"] = by(
            guidance=0.0, classifier_scale=...
        )
    if classifier:
        found["classifier, model with label"] = by(guidance=1.0, classifier_scale=...)
    if null is not None:
        found["classifier-free"] = by(guidance=..., classifier="")
    return found


def _filled(fields, scale):
    return {k: scale if v is ... else v for k, v in fields.items()}


def shares(scene: Scene, judged: judge.Judge) -> dict[str, np.ndarray]:
    """Way -> share of samples that the judge gives the asked label, f[len(SCALES)].

    The same seeds at every scale of every way.
    """
    num = scene.num or MANY
    labels = scene.labels(num)
    found = {}
    for name, scales in ways(scene).items():
        right = []
        for scale, fields in scales.items():
            args = scene.trained.params, scene.seed, np.arange(num), labels
            x = scene.sampler_with(**fields).draw(*args)
            said = judge.labels(judged, scene.source.decode(x), scene.source.peak)
            right.append(float(np.mean(said == labels)))
            print(f"{name}, scale {scale:g}: {right[-1]:.3f} of {num}", flush=True)
        found[name] = np.array(right)
    return found


def misfit(scene: Scene) -> str:
    """Why shares cannot be drawn of a trained run, or ""."""
    if not scene.judge:
        return (
            "needs --judge=WORKDIR: the run of a classifier other than the one that "
            "guides (configs/fashion_judge.py)"
        )
    if scene.judged.published:
        return f"needs another judge: {scene.judge} {judge.STRANGER}"
    return unguided(scene)


def unguided(scene: Scene) -> str:
    """Why a trained run cannot be guided, or ""."""
    if ways(scene):
        return ""
    return (
        "is for models trained with labels and diffusion.label_dropout > 0, or "
        "with --config.sampler.classifier=WORKDIR"
    )


def draw_guidance(scene: Scene, path: Path) -> None:
    """The share of samples that are what was asked over the scale; and KIND.json."""
    found = shares(scene, scene.judged)
    num = scene.num or MANY
    curves.save_lines(
        path,
        {name: (np.array(SCALES), values) for name, values in found.items()},
        xlabel="guidance scale",
        ylabel="share of samples given the asked label",
        title=f"{num} samples each, by a classifier trained apart",
    )
    said = {
        "samples": num,
        "seed": scene.seed,
        "solver": scene.config.sampler.solver,
        "steps": scene.config.sampler.num_steps,
        "judge": str(scene.judge),
        "classifier": scene.config.sampler.classifier,
        "form": scene.config.sampler.classifier_form,
        "scales": SCALES,
        "shares": {name: values.tolist() for name, values in found.items()},
    }
    save_figures(path, said)


def draw_guided(scene: Scene, path: Path) -> None:
    """One noise for each class, at every scale of every way."""
    num = min(scene.source.num_classes, 10)
    labels, rows = np.arange(num, dtype=np.int32), {}
    for name, scales in ways(scene).items():
        for scale, fields in scales.items():
            args = scene.trained.params, scene.seed, np.arange(num), labels
            x = scene.sampler_with(**fields).draw(*args)
            rows[f"{name}: {scale:g}"] = scene.pixels(x)
    names = scene.source.class_names[:num]
    pictures.save_rows(path, rows, columns=names, group=len(SCALES))


KINDS = {
    "guidance": judged_kind(draw_guidance, misfit=misfit),
    "guided": Kind(
        draw_guided, ("images",), trained=True, needs=("sampler",), misfit=unguided
    ),
}
