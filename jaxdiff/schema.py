"""Every field of an experiment: its default and its meaning.

A config is `get_config()` and the few lines that differ. A choice is written like a
Python call: "cosine", or with fields "ddim(eta=0.5)". The choices are in the module
that the comment names; a wrong name gives an error that lists them.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

FIELDS: dict[str, Any] = {
    # The only seed of a run: for initial weights, data order, times and noise.
    "seed": 0,
    # What is trained: a file of jaxdiff.tasks.
    "task": "diffusion",
    # Fields that a new run sets for its data and machine: by jaxdiff.runs.train.sizes.
    "auto": (),
    "data": {
        # A file of jaxdiff.data that makes a source.
        "name": "digits",
        # A folder of images, or of one folder of images per class; a table's CSV file;
        # an .npz; the folder of MNIST's IDX files; what `datasets` saved; or an
        # autoencoder's workdir: the codes of its data are then the data.
        "path": "",
        # The columns of a table to keep, in order (() for all), and those that hold
        # categories, whatever they look like. Decode numbers to the data's decimals.
        "columns": (),
        "categorical": (),
        "rounded": True,
        # A data set's name in TFDS or on the Hugging Face hub, its split, and where
        # it was prepared for TFDS ("" for the environment's TFDS_DATA_DIR).
        "dataset": "",
        "split": "train",
        "data_dir": "",
        # Download MNIST's files that the folder lacks.
        "download": False,
        # What is held out of training: a share of the examples, ".1", the same for all
        # seeds, or the name of another split; "" for none.
        "holdout": "",
        # The classes to keep; () for all.
        "labels": (),
        # Side in pixels after an antialiased resize; 0 keeps the stored size.
        "size": 0,
        # With a size: first cut the central square; otherwise squeeze.
        "crop": True,
        # Read pictures in colour (3) or grey (1).
        "channels": 3,
        # The value of black in model units; white is 1.
        "low": -1.0,
        # Standardise each channel: model units are then (v - mean) / std, where v is 0
        # for black and 1 for white, or the code. () measures them, once per run.
        "standardise": False,
        "mean": (),
        "std": (),
        # The checksum of what is at `path`. "" accepts any, and the run records it.
        "checksum": "",
        # The rules by which tables and folders are read: 1 for runs older than them.
        "rules": 2,
        # Of synthetic data: (h, w, c) or (columns,); how many classes and examples.
        "shape": (8, 8, 1),
        "num_classes": 10,
        "num_examples": 256,
        # Mirror each image left to right with probability one half.
        "flip": False,
    },
    "model": {
        # A file of jaxdiff.models that makes a network.
        "name": "unet",
        # Level i has channels * multipliers[i] channels, and half the size of the last.
        "channels": 64,
        "multipliers": (1, 2),
        # Residual blocks per level; of a perceptron, in total.
        "num_blocks": 2,
        # Heights of the feature maps that get self-attention, with the number of heads
        # or the channels of a head (the other is 0).
        "attention": (),
        "num_heads": 1,
        "head_channels": 0,
        # How time and condition enter residual blocks: "scale_shift" or "add".
        "embedding": "scale_shift",
        # Resample inside residual blocks (ADM), or in separate layers, with or without
        # a convolution (DDPM).
        "resblock_updown": False,
        "conv_resample": True,
        # Of group norms: the number of groups (0: groups of about 4 channels, at most
        # 32 of them), and what is added to the variance (DDPM: 1e-6).
        "norm_groups": 0,
        "norm_eps": 1e-5,
        # Sides on which a convolution that halves is padded: "all", or "far" (DDPM).
        "downsample_padding": "all",
        # Between the way down and the way up, also of an autoencoder: "attention" and
        # residual blocks, "residual" blocks alone, or "none". "auto" is attention in
        # U-Nets and none in autoencoders.
        "middle": "auto",
        # Share of features dropped in each block in training.
        "dropout": 0.0,
        # The order of the sinusoids of t: "sin_cos" (DDPM) or "cos_sin" (ADM).
        "time_embedding": "sin_cos",
        # Of a song_unet: "ddpmpp" or "ncsnpp", EDM's names of its two networks.
        "family": "ddpmpp",
        # The arithmetic: "float32" or "bfloat16". Parameters are float32.
        "dtype": "float32",
        # What blocks compute again in the backward pass, to save memory: "none", the
        # whole "block", or all but its "products" (jaxdiff/models/remat.py).
        "remat": "none",
        # The width of a perceptron.
        "hidden": 64,
        # Of an autoencoder: the length of a flat latent vector, or the channels of a
        # latent map of the coarsest level's size (the other is 0).
        "latent_size": 0,
        "latent_channels": 4,
        # Residual blocks per level of its decoder (0: num_blocks), and one more 1x1
        # convolution on each side of a latent map (latent diffusion).
        "decoder_blocks": 0,
        "latent_conv": False,
    },
    "diffusion": {
        # alpha(t) and sigma(t): of jaxdiff.diffusion.schedules.
        "schedule": "cosine",
        # The size of x_t, at the same signal-to-noise ratio: of
        # jaxdiff.diffusion.scalings; "unscaled" keeps that of the schedule.
        "scaling": "unscaled",
        # What the network predicts: of jaxdiff.diffusion.predictions.
        "prediction": "v",
        # The times used in training: of jaxdiff.diffusion.times; and whether they are
        # spread evenly over each batch, which reduces the variance of the loss.
        "times": "uniform",
        "stratified": True,
        # The weight of the loss at each time: of jaxdiff.diffusion.weights; "native" is
        # the plain error of the network's output.
        "weight": "native",
        # The distance between output and target: of jaxdiff.diffusion.losses.
        "distance": "mse",
        # The distribution of the noise: of jaxdiff.diffusion.noises.
        "noise": "normal",
        # The network's input for the time: of jaxdiff.diffusion.inputs.
        "time_feature": "index",
        # Scale x_t to variance 1 for data of this standard deviation; 0 is off.
        "sigma_data": 0.0,
        # The number of networks, each for an equal share of the training times, as in
        # eDiff-I; 1 is one network for all times.
        "experts": 1,
        # Whether the model takes the data's condition: "label", or "none".
        "condition": "label",
        # Share of examples trained without their condition, for guidance.
        "label_dropout": 0.1,
        # Of an upsampler: the side of the small image that it is conditioned on (0 for
        # other models), and the last time to which training noises it (0: never).
        "low_size": 0,
        "augment": 0.0,
        # The network also predicts a variance, which is trained with the variational
        # bound; the weight of the bound, and the number of steps that it sums over.
        "learned_variance": False,
        "bound_weight": 0.001,
        "bound_steps": 1000,
    },
    "autoencoder": {
        # The weight of KL(N(mean, variance) || N(0, I)), in nats and over the latent: 1
        # is a bound on the likelihood, 0 a plain autoencoder, without noise.
        "kl_weight": 1.0,
        # The reconstruction error: of jaxdiff.diffusion.losses. Half of it is summed
        # over an image: mse is -log N(x; decoded, 1), up to a constant.
        "distance": "mse",
    },
    "train": {
        # Examples per step, over all devices; optimiser steps in total.
        "batch_size": 128,
        "num_steps": 1000,
        # Optimiser steps in one call of the device; more than 1 for tiny models.
        "steps_per_call": 1,
        # XLA devices that a CPU is split into. For convolutions, one per core can be
        # faster than one with a pool of threads. GPUs and TPUs are used as they are.
        "cpu_devices": 1,
        # Micro-batches per step whose gradients are averaged, to save memory.
        "accumulate": 1,
        # Of jaxdiff.train.optim; its learning rate: of jaxdiff.train.lr_schedules.
        "optimizer": "adam",
        "lr": "constant(peak=1e-3)",
        # Gradients above this global norm are scaled down to it; 0 is off.
        "clip_norm": 0.0,
        # The average of the parameters that is sampled: of jaxdiff.train.ema.
        "ema": "warmup(decay=0.999)",
        # Relative widths of more averages, and steps between their snapshots. (.05, .1)
        # and an eighth of training let sampler.ema be any width.
        "ema_widths": (),
        "snapshot_every": 0,
        # Steps between lines of metrics.jsonl, between grids of samples (0: only at the
        # end) and between checkpoints.
        "log_every": 100,
        "sample_every": 0,
        "checkpoint_every": 1000,
        # Steps between losses of what is held out; 0: at each line of metrics.jsonl.
        "validate_every": 0,
        # How many of the newest checkpoints to keep; multiples of keep_every are kept.
        "keep_last": 2,
        "keep_every": 0,
        # Where log, samples and config also go: files of jaxdiff.train.trackers.
        "trackers": ("tensorboard",),
        # The number of images (or rows) in each grid of samples.
        "num_preview": 100,
        # Steps between evaluations in training (0: none), and their number of samples:
        # FID and KID, or a table's two-sample accuracy, for the log and progress.png.
        "evaluate_every": 0,
        "num_evaluate": 1000,
        # The sampling steps of these samples; 0 is sampler.num_steps.
        "evaluate_steps": 0,
        # Where the features of these distances come from: the workdir of a classifier
        # of the same images, or the file of Inception's weights.
        "features": "",
    },
    "sampler": {
        # A file of jaxdiff.diffusion.solvers.
        "solver": "ddim",
        # The times of its steps: of jaxdiff.diffusion.grids; "auto" is the solver's.
        "grid": "auto",
        "num_steps": 50,
        # 0 for the average of train.ema, or a width of average (train.ema_widths).
        "ema": 0.0,
        # The scale of classifier-free guidance: 0 is unconditional, 1 conditional.
        "guidance": 1.0,
        # How the two estimates are combined: of jaxdiff.diffusion.rules; and the range
        # of sigma / alpha where they are, () for all.
        "rule": "linear",
        "interval": (),
        # Autoguidance: the workdir of a weaker run on the same data and noise ("" for
        # none), and the scale: 1 is the model alone.
        "weak": "",
        "weak_scale": 2.0,
        # Classifier guidance: the workdir of a run of task "classifier" on the same
        # noise ("" for none), the scale of its gradient, and its form: "score" for all
        # solvers, or "mean" for ancestral steps (ddpm).
        "classifier": "",
        "classifier_scale": 1.0,
        "classifier_form": "score",
        # Of an upsampler: the workdir of the run that makes its small images, and the
        # time to which they are noised, at most diffusion.augment.
        "base": "",
        "augment": 0.0,
        # Clip x0 to the range of the data at every step (images of pixels).
        "clip": True,
        # Before that, divide the x0 of each image by this quantile of its values, where
        # it exceeds the range (dynamic thresholding, .995); 0 is off.
        "quantile": 0.0,
        # If some values are known (launch.sample --fix, launch.edit inpaint): of
        # jaxdiff.diffusion.editing; the number of steps (0: num_steps); and how often
        # each is repeated (more than 1 reduces the bias of replace).
        "known": "replace",
        "known_steps": 0,
        "resample": 1,
        # The number of images (or rows) made at once.
        "batch_size": 500,
    },
}


def get_config() -> ConfigDict:
    """The defaults: a small class-conditional U-Net on the 8x8 digits."""
    return ConfigDict(FIELDS).lock()


def flat(tree: ConfigDict | Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"block.field": value} of a config or of nested mappings."""
    fields = {}
    for key, value in tree.items():
        block = isinstance(value, ConfigDict | Mapping)
        fields |= flat(value, f"{prefix}{key}.") if block else {prefix + key: value}
    return fields
