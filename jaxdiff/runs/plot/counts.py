"""How often each class is sampled, and when in sampling that is decided.

A classifier names the class of every sample, and of the x0 that the model predicts at
every step on the way to it. Where the model draws too much of a class, the lines show
from what time on: a network that predicts the mean of all images from noise begins with
the class that this mean resembles.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxdiff.data.batches import map_chunks, permutation
from jaxdiff.data.orders import evenly
from jaxdiff.data.source import Source, map_arrays
from jaxdiff.metrics.averages import average
from jaxdiff.metrics.shares import entropy, p_value, shares
from jaxdiff.plots.shares import save_shares
from jaxdiff.runs.plot.diffusion import traced
from jaxdiff.runs.plot.spec import (
    Numbers,
    PlotRequest,
    always,
    is_upsampler,
    quality_spec,
    settings,
)

# Samples; labels of the data that are counted, at most, and at once; steps of the lines
# and classes that have one, at most.
MANY, MOST_DATA, CHUNK, MOST_STEPS, MOST_LINES = 1000, 100_000, 1000, 50, 8


class Course(NamedTuple):
    """Of n samples, by the classifier.

    t:       f[s], of the steps and 0, where the predicted x0 is the sample
    classes: i[n, s], of the predicted x0.  entropy: f[n, s], nats
    labels:  i[n] that the samples were given; None for an unconditional model
    """

    t: np.ndarray
    classes: np.ndarray
    entropy: np.ndarray
    labels: np.ndarray | None


def course(request: PlotRequest) -> Course:
    """Image i is sample i of the seed, its label, and the sampler of the config."""
    run, num = request.run, request.num or MANY
    s, cond = run.config.sampler, run.conditions(num)
    ts = np.asarray(run.sampler().shared(run.params).ts)
    chosen = evenly(len(ts) - 1, MOST_STEPS)

    def of(index):
        some = None if cond is None else map_arrays(lambda a: a[index], cond)
        _, trace, x = traced(request, index, some)
        x0 = run.pixels(np.concatenate([trace.x0[chosen], x[None]]))
        _, p = request.extractor.features_and_probabilities(
            x0.reshape(-1, *x0.shape[2:])
        )
        p = p.reshape(*x0.shape[:2], -1).swapaxes(0, 1)
        return {"classes": p.argmax(-1), "entropy": entropy(p)}

    parts = map_chunks(of, num, min(num, s.batch_size), "sampling and classifying")
    free = s.guidance == 0 and not s.classifier
    labels = None if free else run.labels_of(cond)
    return Course(np.append(ts[chosen], 0.0), **parts, labels=labels)


def count_data(source: Source, seed: int) -> np.ndarray:
    """The examples i[k] of each class, of at most MOST_DATA that the seed chooses."""
    index = permutation(seed, 0, len(source))[:MOST_DATA]
    counts = np.zeros(source.num_classes, int)
    for at in range(0, len(index), CHUNK):
        labels = source[index[at : at + CHUNK]]["cond"]
        counts += np.bincount(labels, minlength=len(counts))
    return counts


def draw_counts(request: PlotRequest, path: Path) -> Numbers:
    """Bars of the classes of samples and data; lines of the predicted x0's classes.

    Samples with labels are counted beside the labels that they were given.
    """
    source, way = request.run.images, course(request)
    names, final = source.class_names, way.classes[:, -1]
    k, num = len(names), len(final)
    sampled, over = shares(final, k), [shares(c, k).value for c in way.classes.T]
    if way.labels is None:
        counts = count_data(source, request.seed)
        beside, reference, goal = "data", counts / counts.sum(), final
        p = p_value(np.bincount(final, minlength=k), reference)
        numbers = {"data": counts, "p_value": p}
        result = f"chi-square test against the data: p = {p:.2g}"
    else:
        beside, goal = "labels", way.labels
        reference = shares(goal, k).value
        right, error = average(final == goal)
        matrix = np.zeros((k, k), int)
        np.add.at(matrix, (goal, final), 1)
        numbers = {"label_accuracy": right, "label_accuracy_error": error}
        numbers |= {"classes_by_label": matrix}
        result = f"label accuracy {right:.3f} ± {error:.3f}"
    settled = (way.classes == goal[:, None]).mean(0)
    for name, share, error, real in zip(names, *sampled, reference, strict=True):
        print(
            f"{name}: {share:.3f} ± {error:.3f} of {num} samples, {beside} {real:.3f}"
        )
    print(result)
    bars = {f"{num} samples": (*sampled,), beside: (reference, None)}
    shown = np.sort(np.argsort(-sampled.value)[:MOST_LINES])
    lines = {names[i]: np.array(over)[:, i] for i in shown}
    black = "as the sample" if way.labels is None else "as the label"
    titles = result, "class of the x0 predicted on the way"
    save_shares(path, names, bars, way.t, lines, (black, settled), titles=titles)
    return settings(request, num) | {
        "extractor": str(request.features),
        "classes": names,
        "share": sampled.value,
        "share_error": sampled.error,
        f"share_of_{beside}": reference,
        **numbers,
        "t": way.t,
        "share_at_t": over,
        "settled_at_t": settled,
        "entropy_at_t": way.entropy.mean(0),
    }


def _misfit(request: PlotRequest) -> str:
    return request.no_labels or is_upsampler(request)


# one sample has no standard error
SPECS = {"counts": quality_spec(draw_counts, num=always((2, math.inf)), misfit=_misfit)}
