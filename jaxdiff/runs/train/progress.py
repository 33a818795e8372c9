"""How far a run's samples are from its data as it trains.

Off unless config.train.evaluate_every is set. What it costs is bounded by
config.train.num_evaluate samples and MOST_REAL real examples, which are read once.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from jaxdiff.arrays import PyTree, require
from jaxdiff.data.batches import permutation
from jaxdiff.runs.evaluate.features import NEEDED, Reference, load_extractor
from jaxdiff.runs.evaluate.metrics import METRICS, Pair
from jaxdiff.runs.experiment import Experiment

# Averaged parameters -> name -> value, for the line of metrics.jsonl.
Measure = Callable[[PyTree], dict[str, float]]

# The forest of the two-sample test has five parts of each side.
MOST_REAL, LEAST_REAL = 10_000, 5


def make_measure(run: Experiment) -> Measure | None:
    """Of images their Frechet distance and KID, of tables a two-sample test, to what is
    held out, or without data.holdout to what is trained on; None if
    train.evaluate_every is 0. Seeds and labels are the same each time.

    Errors: ValueError, FileNotFoundError for what does not fit, before any work.
    """
    config, t = run.config, run.config.train
    if not t.evaluate_every:
        return None
    if run.config.data.holdout:
        run = run.on_holdout()
        tqdm.write(f"train.evaluate_every: {len(run.source):,} held-out examples")
    require(
        run.task.kind == "denoiser" and not run.is_upsampler,
        "train.evaluate_every is for models that make data by themselves: for no "
        "classifier, autoencoder or upsampler; set it to 0",
    )
    steps = t.evaluate_steps or config.sampler.num_steps
    sampler = run.with_sampler(num_steps=steps).sampler()
    index, cond = np.arange(t.num_evaluate), run.conditions(t.num_evaluate)
    compare = (_compare_images if run.images.is_image else _compare_rows)(run)

    def measure(params):
        try:
            x = sampler.draw(params, config.seed, index, cond)
        except FloatingPointError as error:  # of the samples: training continues
            tqdm.write(f"nothing measured: {error}")
            return {}
        return {k: v for k, v in compare(x).items() if v is not None}

    return measure


def _compare_images(run):
    path, images = run.config.train.features, run.images
    require(path, f"train.evaluate_every needs train.features: {NEEDED}")
    extractor = load_extractor(Path(path), images, "train.features", run.trust)
    reference = Reference(extractor, images, min(len(images), MOST_REAL), run=run)

    def compare(x):
        features = reference.features(run.pixels(x))
        values = reference.distance(features, run.config.seed)
        return {name: values[name] for name in ("frechet", "kid", "kid_error")}

    return compare


def _compare_rows(run):
    source = run.source
    index = permutation(0, 0, len(source))[:MOST_REAL]
    require(
        len(index) >= LEAST_REAL or not run.config.data.holdout,
        f"train.evaluate_every needs {LEAST_REAL} real rows, and data.holdout="
        f"{run.config.data.holdout} holds out {len(index)}; hold out more",
    )
    real, metric = source.decode(source[index]["x"]), METRICS["two_sample"]
    return lambda x: metric.compute(Pair(real, source.decode(x), run.config.seed))
