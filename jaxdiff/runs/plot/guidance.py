"""Pictures of guidance of a class: label accuracy over the scale, and images.

There are three methods: a classifier guides the model without its label, or with it,
and the model guides itself away from its prediction without (classifier-free). All
samples of a picture have the same seeds and labels.
"""

from pathlib import Path
from typing import Any

import numpy as np

from jaxdiff.data.orders import evenly
from jaxdiff.metrics.averages import error_of_share
from jaxdiff.metrics.titles import title
from jaxdiff.plots import curves, pictures
from jaxdiff.runs.plot.spec import (
    FREE,
    Numbers,
    PlotRequest,
    always,
    quality_spec,
    settings,
)

SCALES = (0.0, 1.0, 2.0, 4.0, 8.0)
MANY = 500  # samples for a label accuracy
OTHER = "a classifier other than the one that guides (configs/fashion_features.py)"


def draw_guidance(request: PlotRequest, path: Path) -> Numbers:
    """Label accuracy over the guidance scale, a line a method."""
    accuracy, sampler = label_accuracy(request), request.run.config.sampler
    num = request.num or MANY
    errors = {name: error_of_share(y, num) for name, y in accuracy.items()}
    curves.save_lines(
        path,
        {k: (np.array(SCALES), np.array(y), errors[k]) for k, y in accuracy.items()},
        xlabel="guidance scale",
        ylabel=title("label_accuracy").axis(),
        title=f"{num} samples each, by a classifier that does not guide",
    )
    return settings(request, num) | {
        "extractor": str(request.features),
        "classifier": sampler.classifier,
        "form": sampler.classifier_form,
        "scales": SCALES,
        "label_accuracy": accuracy,
        "label_accuracy_error": errors,
    }


def label_accuracy(request: PlotRequest) -> dict[str, list[float]]:
    """Method -> the share of samples of the right class by --features, by scale."""
    source, num = request.run.source, request.num or MANY
    labels, accuracy = request.run.conditions(num), {}
    for name, scales in methods(request).items():
        shares = accuracy[name] = []
        for scale, fields in scales.items():
            values = source.decode(request.draw(num, **fields))
            classes = request.extractor.labels(values, source.peak)
            shares.append(float(np.mean(classes == labels)))
            print(f"{name}, scale {scale:g}: {shares[-1]:.3f} of {num}", flush=True)
    return accuracy


def methods(request: PlotRequest) -> dict[str, dict[float, dict[str, Any]]]:
    """Name -> scale -> fields of config.sampler, of the methods that the run allows."""
    run, table = request.run, {}
    classifier, is_free = run.config.sampler.classifier, run.task.null is not None
    if classifier and is_free:
        table["classifier, model without label"] = "classifier_scale", {"guidance": 0.0}
    if classifier:
        table["classifier, model with label"] = "classifier_scale", {"guidance": 1.0}
    if is_free:
        table["classifier-free"] = "guidance", {"classifier": ""}
    return {
        name: {scale: {field: scale, **others} for scale in SCALES}
        for name, (field, others) in table.items()
    }


def draw_guided(request: PlotRequest, path: Path) -> Numbers:
    """One noise for each class, at every scale of every method."""
    run, rows = request.run, {}
    labels = evenly(run.source.num_classes, request.most).astype(np.int32)
    for name, scales in methods(request).items():
        for scale, fields in scales.items():
            args = run.params, request.seed, np.arange(len(labels)), labels
            x = run.with_sampler(**fields).sampler().draw(*args)
            rows[f"{name}: {scale:g}"] = run.pixels(x)
    columns = [run.source.class_names[k] for k in labels]
    pictures.save_rows(path, rows, columns=columns, group=len(SCALES))
    return settings(request, len(labels)) | {"rows": [*rows], "classes": columns}


def _unguided(request: PlotRequest) -> str:
    reason = f"is for runs {FREE}, or with --config.sampler.classifier=WORKDIR"
    return "" if methods(request) else reason


def _no_labels(request: PlotRequest) -> str:
    if not request.features:
        return f"needs --features=WORKDIR: {OTHER}"
    return request.no_labels or _unguided(request)


SETS = ("guidance", "classifier_scale")
SPECS = {
    "guidance": quality_spec(draw_guidance, sets=SETS, misfit=_no_labels, real=False),
    "guided": quality_spec(
        draw_guided,
        needs=always(("sampler",)),
        takes=("seed",),
        real=False,
        sets=SETS,
        misfit=_unguided,
        pixels=True,
    ),
}
