"""Every field of an experiment: its default, what it means, and how old runs read it.

A config is `get_config()` and the few lines that differ. A choice is written as Python
would: "cosine", or with fields "ddim(eta=0.5)". What can be chosen stands in the module
that the comment names; a wrong name lists it.
"""

import difflib
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

# What a stored run means by a field that it lacks, where that is not today's default.
# Whoever changes a default also writes the old one here: checksums leave out the fields
# that have this value, so that a field added later changes none of them.
OLDER: dict[str, Any] = {}

# Old names of fields in stored runs -> today's, and old values as "field=value".
RENAMED = {
    "train.judge": "train.features",
    "diffusion.scaling=own": "diffusion.scaling=unscaled",
}

# Where data lie on a machine: no part of what an experiment is.
PLACES = ("data.path", "data.data_dir")

FIELDS: dict[str, Any] = {
    # The run's one seed: initial weights, data order, times and noise.
    "seed": 0,
    # What is trained: a file of jaxdiff.tasks.
    "task": "diffusion",
    "data": {
        # A file of jaxdiff.data that makes a source.
        "name": "digits",
        # A folder of images, or of class folders of them; a table's CSV file; or the
        # workdir of an autoencoder, whose codes of its own data are the data: they are
        # computed once and kept there.
        "path": "",
        # The columns of a table to keep, in order; () for all.
        "columns": (),
        # Numbers come out with as many decimals as the data have.
        "rounded": True,
        # A TFDS data set's name, its split, and where it was prepared ("" for the
        # environment's TFDS_DATA_DIR).
        "dataset": "",
        "split": "train",
        "data_dir": "",
        # The classes to keep; () for all.
        "labels": (),
        # Side in pixels after an antialiased resize; 0 as stored.
        "size": 0,
        # With a size: cut the centre to a square first, or else squeeze.
        "crop": True,
        # Pictures are read in colour, 3, or grey, 1.
        "channels": 3,
        # The value of black in the model; white is 1.
        "low": -1.0,
        # Give the model (v - mean) / std instead, by channel, where v is 0 for black
        # and 1 for white, or the code; () is measured, once a run.
        "standardise": False,
        "mean": (),
        "std": (),
        # Of the files or of the encoder at `path`: "" accepts any, and the run records
        # it.
        "checksum": "",
        # Of made-up data: (h, w, c) or (columns,), and how many classes and examples.
        "shape": (8, 8, 1),
        "num_classes": 10,
        "num_examples": 256,
        # Mirror each image left to right half of the time.
        "flip": False,
    },
    "model": {
        # A file of jaxdiff.models that makes a network.
        "name": "unet",
        # Level i has channels * multipliers[i] channels; each level is half as large.
        "channels": 64,
        "multipliers": (1, 2),
        # Residual blocks a level; of a perceptron, in all.
        "num_blocks": 2,
        # Feature-map heights that get self-attention, by number of heads or by channels
        # a head (the other 0).
        "attention": (),
        "num_heads": 1,
        "head_channels": 0,
        # How time and condition enter a block: "scale_shift" or "add".
        "embedding": "scale_shift",
        # Resample inside residual blocks (ADM), or by layers of their own, with or
        # without a convolution (DDPM).
        "resblock_updown": False,
        "conv_resample": True,
        # Share of features dropped in each block as it trains.
        "dropout": 0.0,
        # Order of the sinusoids of t, "sin_cos" (DDPM) or "cos_sin" (ADM).
        "time_embedding": "sin_cos",
        # Arithmetic in "float32" or "bfloat16"; parameters stay float32.
        "dtype": "float32",
        # Recompute blocks in the backward pass, for memory.
        "remat": False,
        # Width of a perceptron.
        "hidden": 64,
        # An autoencoder's numbers of a flat latent vector, or channels of a latent map
        # as large as the coarsest level (the other 0).
        "latent_size": 0,
        "latent_channels": 4,
    },
    "diffusion": {
        # alpha(t) and sigma(t): of jaxdiff.diffusion.schedules.
        "schedule": "cosine",
        # The same signal-to-noise ratio at another size of x_t: of
        # jaxdiff.diffusion.scalings; "unscaled" is as the schedule has it.
        "scaling": "unscaled",
        # What the network predicts: of jaxdiff.diffusion.predictions.
        "prediction": "v",
        # The times seen in training: of jaxdiff.diffusion.times; and whether they are
        # spread evenly over each batch, which steadies the loss.
        "times": "uniform",
        "stratified": True,
        # The loss's weight over time: of jaxdiff.diffusion.weights; "native" is the
        # plain error of what is predicted.
        "weight": "native",
        # The distance from output to target: of jaxdiff.diffusion.losses.
        "distance": "mse",
        # The noise's distribution: of jaxdiff.diffusion.noises.
        "noise": "normal",
        # The time as the network is given it: of jaxdiff.diffusion.inputs.
        "time_feature": "index",
        # Scale x_t to unit variance for data of this standard deviation; 0: as is.
        "sigma_data": 0.0,
        # The condition: "label", or "none" for an unconditional model.
        "condition": "label",
        # Share of examples trained without their label (classifier-free guidance).
        "label_dropout": 0.1,
        # An upsampler: side of the small image that it is conditioned on (0 for other
        # models), and up to what time that is noised in training (0: never).
        "low_size": 0,
        "augment": 0.0,
        # The network also gives a variance, which learns from this much of the
        # variational bound, a sum over so many steps.
        "learned_variance": False,
        "bound_weight": 0.001,
        "bound_steps": 1000,
    },
    "autoencoder": {
        # How much KL(N(mean, variance) || N(0, I)), in nats and summed over the latent,
        # is added to the reconstruction's error: 1 is the bound on the likelihood; 0 is
        # a plain autoencoder, whose codes have no noise.
        "kl_weight": 1.0,
        # Of jaxdiff.diffusion.losses; half of it is summed over the image's values,
        # which makes mse minus the log-likelihood of a normal of variance 1.
        "distance": "mse",
    },
    "train": {
        # Examples a step, over all devices; optimiser steps in all.
        "batch_size": 128,
        "num_steps": 1000,
        # Optimiser steps in one call of the device: more for tiny models.
        "steps_per_call": 1,
        # XLA devices that a CPU machine is split into: for convolutions one a core can
        # beat one with a pool of threads. GPUs and TPUs are used as they are.
        "cpu_devices": 1,
        # Micro-batches a step whose gradients are averaged, for memory.
        "accumulate": 1,
        # Of jaxdiff.train.optim, and its learning rate: of jaxdiff.train.lr_schedules.
        "optimizer": "adam",
        "lr": "constant(peak=1e-3)",
        # Gradients above this global norm are scaled down to it; 0 is off.
        "clip_norm": 0.0,
        # The average of the parameters that is sampled: of jaxdiff.train.ema.
        "ema": "warmup(decay=0.999)",
        # Relative widths of averages beside it, and steps between their snapshots:
        # (.05, .1) and an eighth of training let sampler.ema be any width.
        "ema_widths": (),
        "snapshot_every": 0,
        # Steps between lines of metrics.jsonl, grids of samples (0: at the end only)
        # and checkpoints.
        "log_every": 100,
        "sample_every": 0,
        "checkpoint_every": 1000,
        # Newest checkpoints kept; multiples of keep_every are kept for good.
        "keep_last": 2,
        "keep_every": 0,
        # Images (or rows) in each grid of samples.
        "num_preview": 100,
        # Steps between evaluations as it trains (0: none), and of how many samples.
        # metrics.jsonl and progress.png get their FID and KID; of a table, how often a
        # forest tells the rows from real ones.
        "evaluate_every": 0,
        "num_evaluate": 1000,
        # Sampling steps of these samples; 0 is sampler.num_steps.
        "evaluate_steps": 0,
        # The features of these distances: the workdir of a classifier of the same
        # images, or Inception's file.
        "features": "",
    },
    "sampler": {
        # A file of jaxdiff.diffusion.solvers.
        "solver": "ddim",
        # The times that it steps through: of jaxdiff.diffusion.grids.
        "grid": "uniform",
        "num_steps": 50,
        # 0 for the average of train.ema, else the width of one (train.ema_widths).
        "ema": 0.0,
        # Classifier-free guidance: 0 unconditional, 1 conditional, more is sharper.
        "guidance": 1.0,
        # How the two estimates are joined: of jaxdiff.diffusion.rules; and between
        # which sigma / alpha, () for all.
        "rule": "linear",
        "interval": (),
        # Autoguidance: the workdir of a weaker run of the same data and noise ("" for
        # none), and how far to go beyond it: 1 is the model alone.
        "weak": "",
        "weak_scale": 2.0,
        # Classifier guidance: the workdir of a run of task "classifier" on the same
        # noise ("" for none), how many times its gradient counts, and as what: "score",
        # for every solver, or "mean", for ancestral steps (ddpm).
        "classifier": "",
        "classifier_scale": 1.0,
        "classifier_form": "score",
        # An upsampler: the workdir of the run that makes its small images, and to what
        # time they are noised, at most diffusion.augment.
        "base": "",
        "augment": 0.0,
        # Keep x0 within the data's range at every step (images of pixels).
        "clip": True,
        # The same, image by image: divide x0 by what so much of its values is within,
        # where that is more than the range (dynamic thresholding, .995); 0 is off.
        "quantile": 0.0,
        # Where some values are known (launch.sample --fix, launch.edit inpaint): of
        # jaxdiff.diffusion.editing, in how many steps (0: num_steps), each done how
        # many times (more than 1 lessens the bias of replace).
        "known": "replace",
        "known_steps": 0,
        "resample": 1,
        # Images (or rows) made at once.
        "batch_size": 500,
    },
}


def get_config() -> ConfigDict:
    """Defaults: a small class-conditional U-Net on the 8x8 digits."""
    return ConfigDict(FIELDS).lock()


def flat(tree: ConfigDict | Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"block.field": value} of a config or of nested mappings."""
    fields = {}
    for key, value in tree.items():
        block = isinstance(value, ConfigDict | Mapping)
        fields |= flat(value, f"{prefix}{key}.") if block else {prefix + key: value}
    return fields


def upgrade(stored: Mapping[str, Any]) -> ConfigDict:
    """A stored config, nested mappings, in today's fields.

    A field that it lacks takes the value that means what was before (OLDER, else the
    default); one of RENAMED is read under its new name.
    Errors: ValueError for a field that the schema does not have, or a value of another
            type.
    """
    config = get_config()
    known, fields = flat(config), dict(OLDER)
    for old, value in flat(stored).items():
        field = RENAMED.get(old, old)
        if field not in known:
            near = difflib.get_close_matches(field, known, n=1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"there is no field {field} (stored: {value!r}).{meant} Read the run "
                "with the version of jaxdiff that wrote it, or take the field out"
            )
        renamed = RENAMED.get(f"{field}={value}")
        fields[field] = renamed.partition("=")[2] if renamed else value
    try:
        config.update_from_flattened_dict(fields)
    except TypeError as error:
        raise ValueError(str(error)) from None
    return config


def identity(config: ConfigDict, *blocks: str) -> dict[str, Any]:
    """{field: value} of what tells these blocks from other experiments'.

    Left out are PLACES and the fields that have the value which a run lacking them
    gets: a new field, or data moved to another folder, changes nothing.
    """
    older = flat(get_config()) | OLDER
    return {
        field: value
        for field, value in flat(config).items()
        if field.partition(".")[0] in blocks
        and field not in PLACES
        and value != older[field]
    }
