"""The whole schema of an experiment: every field, its default and what it means.

A config is `base.get_config()` and the few lines that differ. Choices are written as
Python would: "cosine", or with fields "ddim(eta=0.5)". The files and functions that
can be chosen are named beside each field; a wrong name lists them.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Defaults: a small class-conditional U-Net on the 8x8 digits."""
    return ConfigDict(
        {
            # The run's one seed: initial weights, data order, times and noise.
            "seed": 0,
            # What is trained, a file of jaxdiff/tasks: diffusion, classifier,
            # autoencoder.
            "task": "diffusion",
            "data": data(),
            "model": model(),
            "diffusion": diffusion(),
            "autoencoder": autoencoder(),
            "train": train(),
            "sampler": sampler(),
        }
    )


def data() -> ConfigDict:
    return ConfigDict(
        {
            # A file of jaxdiff/data: digits, iris, tfds, folder, table, synthetic,
            # latents.
            # Each takes those of the fields below that it has a use for.
            "name": "digits",
            # folder: of images, or of class folders of them.  table: a CSV file.
            # latents: the workdir of an autoencoder, whose codes of its own data these
            # are; encoded once and kept there.
            "path": "",
            # table, iris: columns to keep, in order; () for all.
            "columns": (),
            # table, iris: numbers come out with as many decimals as the data's have.
            "rounded": True,
            # tfds: the data set's name, its split, and where it was prepared
            # ("" for the environment's TFDS_DATA_DIR).
            "dataset": "",
            "split": "train",
            "data_dir": "",
            # digits, tfds: the classes to keep; () for all.
            "labels": (),
            # tfds, folder: side in pixels after an antialiased resize; 0 as stored.
            "size": 0,
            # tfds, folder: cut the centre to the goal's shape first; else squeeze.
            "crop": True,
            # folder: 3 for colour, 1 for grey.
            "channels": 3,
            # images: the value of black in the model; white is 1.
            "low": -1.0,
            # images: give the model (v - mean) / std instead, by channel, where v is 0
            # for black and 1 for white, or the code; () is measured, once a run.
            "standardise": False,
            "mean": (),
            "std": (),
            # latents: of the encoder; "" is noted by the run, which then wants no
            # other.
            "checksum": "",
            # synthetic: (h, w, c) or (columns,), how many classes and examples.
            "shape": (8, 8, 1),
            "num_classes": 10,
            "num_examples": 256,
            # images: mirror each left to right half of the time.
            "flip": False,
        }
    )


def model() -> ConfigDict:
    return ConfigDict(
        {
            # A file of jaxdiff/models: unet, residual_unet, basic_unet, mlp,
            # classifier, autoencoder. Each takes those of the fields below that it has
            # a use for.
            "name": "unet",
            # All but basic_unet, mlp: channels * multipliers[i] at level i, each level
            # half as large.
            "channels": 64,
            "multipliers": (1, 2),
            # The same: residual blocks a level.  mlp: residual blocks.
            "num_blocks": 2,
            # unet: feature-map heights that get self-attention, by number of heads
            # or by channels a head (the other 0).
            "attention": (),
            "num_heads": 1,
            "head_channels": 0,
            # unet: how time and label enter a block: "scale_shift" or "add".
            "embedding": "scale_shift",
            # unet: resample inside residual blocks (ADM), or by layers of their own,
            # with or without a convolution (DDPM).
            "resblock_updown": False,
            "conv_resample": True,
            "dropout": 0.0,
            # unet: order of the sinusoids, "sin_cos" (DDPM) or "cos_sin" (ADM).
            "time_embedding": "sin_cos",
            # All but basic_unet, mlp: arithmetic in "float32" or "bfloat16"; parameters
            # stay float32.
            "dtype": "float32",
            # unet: recompute blocks in the backward pass, for memory.
            "remat": False,
            # mlp: width.
            "hidden": 64,
            # autoencoder: numbers of a flat latent vector, or channels of a latent map
            # as large as the coarsest level (the other 0).
            "latent_size": 0,
            "latent_channels": 4,
        }
    )


def diffusion() -> ConfigDict:
    return ConfigDict(
        {
            # schedules.py: linear_beta, cosine_beta, scaled_linear_beta, cosine, angle,
            # linear_log_snr, vp_sde, sigmoid, linear_mix, edm.
            "schedule": "cosine",
            # scalings.py: own (as the schedule has it), vp, ve, flow.
            "scaling": "own",
            # predictions.py: x0, eps, v, score, velocity, edm.
            "prediction": "v",
            # times.py: uniform, discrete, logit_normal, lognormal_sigma, constant; and
            # whether they are spread evenly over each batch, which steadies the loss.
            "times": "uniform",
            "stratified": True,
            # weights.py: native (the plain error of what is predicted), x0, eps,
            # min_snr, sigmoid, edm, elbo.
            "weight": "native",
            # losses.py: mse, mae, huber.
            "distance": "mse",
            # noises.py: normal, uniform.
            "noise": "normal",
            # inputs.py: what the network is told of the time: index, time, log_snr,
            # log_std, variance.
            "time_feature": "index",
            # Scale x_t to unit variance for data of this standard deviation; 0: as is.
            "sigma_data": 0.0,
            # The condition: "label", or "none" for an unconditional model.
            "condition": "label",
            # Share of examples trained without their label (classifier-free guidance).
            "label_dropout": 0.1,
            # An upsampler: side of the small image that it is told of (0 for other
            # models), and up to what time that is noised in training (0: not at all).
            "low_size": 0,
            "augment": 0.0,
            # The network also gives a variance, trained by this much of the bound, a
            # sum over so many steps.
            "learned_variance": False,
            "bound_weight": 0.001,
            "bound_steps": 1000,
        }
    )


def autoencoder() -> ConfigDict:
    return ConfigDict(
        {
            # How much KL(N(mean, variance) || N(0, I)), in nats and summed over the
            # latent, is added to the reconstruction's error: 1 is the bound on the
            # likelihood; 0 is a plain autoencoder, whose codes have no noise.
            "kl_weight": 1.0,
            # losses.py, as of diffusion; half of it is summed over the image's values,
            # which makes mse minus the log-likelihood of a normal of variance 1.
            "distance": "mse",
        }
    )


def train() -> ConfigDict:
    return ConfigDict(
        {
            # Examples a step, over all devices; optimiser steps in all.
            "batch_size": 128,
            "num_steps": 1000,
            # Optimiser steps in one call of the device: more for tiny models.
            "steps_per_call": 1,
            # XLA devices that a CPU machine is split into: for convolutions one a core
            # can beat one with a pool of threads. GPUs and TPUs are used as they are.
            "cpu_devices": 1,
            # Micro-batches a step whose gradients are averaged, for memory.
            "accumulate": 1,
            # optim.py: adam, adamw.  lr_schedules.py: constant, cosine, linear,
            # inverse_sqrt.  Gradients above this global norm are scaled; 0 is off.
            "optimizer": "adam",
            "lr": "constant(peak=1e-3)",
            "clip_norm": 0.0,
            # ema.py: constant, warmup, half_life, power.
            "ema": "warmup(decay=0.999)",
            # Relative widths of averages beside it, and steps between their snapshots:
            # (.05, .1) and an eighth of training let sampler.ema be any width.
            "ema_widths": (),
            "snapshot_every": 0,
            # Steps between lines of metrics.jsonl, grids of samples (0: at the end
            # only) and checkpoints.
            "log_every": 100,
            "sample_every": 0,
            "checkpoint_every": 1000,
            # Newest checkpoints kept; multiples of keep_every are kept for good.
            "keep_last": 2,
            "keep_every": 0,
            # Images (or rows) in each grid of samples.
            "num_preview": 100,
            # Steps between evaluations as it trains (0: none), of so many samples, and
            # of images the workdir of a classifier of the same data: lines of
            # metrics.jsonl and progress.png have the Frechet and the kernel distance,
            # of a table how often a forest tells the rows from real ones.
            "evaluate_every": 0,
            "num_evaluate": 1000,
            "evaluate_steps": 0,  # sampling steps of theirs; 0 is sampler.num_steps
            "judge": "",
        }
    )


def sampler() -> ConfigDict:
    return ConfigDict(
        {
            # A file of jaxdiff/diffusion/solvers: ddim, ddpm, euler, euler_ancestral,
            # heun, dpm2, dpmpp_2s, dpmpp_2m, dpmpp_3m, dpmpp_2m_sde, dpmpp_3m_sde,
            # unipc, deis, lms, plms, restart, consistency.
            "solver": "ddim",
            # grids.py: uniform, quadratic, shifted, beta, discrete, respaced, log_snr,
            # exponential, karras, written.
            "grid": "uniform",
            "num_steps": 50,
            # 0 for the average of train.ema, else one so wide (train.ema_widths).
            "ema": 0.0,
            # Classifier-free guidance: 0 unconditional, 1 conditional, more is sharper.
            "guidance": 1.0,
            # rules.py, how the two estimates are joined: linear, rescaled, apg,
            # plus_plus, zero_star; and between which sigma / alpha, () for all.
            "rule": "linear",
            "interval": (),
            # Autoguidance: the workdir of a weaker run of the same data and noise (""
            # for none), and how far to go beyond it: 1 is the model alone.
            "weak": "",
            "weak_scale": 2.0,
            # Classifier guidance: the workdir of a run of task "classifier" on the same
            # noise ("" for none), how many times its gradient counts, and as what:
            # "score", for every solver, or "mean", for ancestral steps (ddpm).
            "classifier": "",
            "classifier_scale": 1.0,
            "classifier_form": "score",
            # An upsampler: the workdir of the run that makes its small images, and to
            # what time they are noised, at most diffusion.augment.
            "base": "",
            "augment": 0.0,
            # Keep x0 within the data's range at every step (images only).
            "clip": True,
            # The same, image by image: divide x0 by what so much of its values is
            # within, where that is more than the range (dynamic thresholding, .995); 0
            # is off.
            "quantile": 0.0,
            # Where some values are known (launch.sample --fix), editing.py: replace,
            # or for tables regress; in how many steps (0: num_steps), each done how
            # many times (more than 1 lessens the bias of replace).
            "known": "replace",
            "known_steps": 0,
            "resample": 1,
            # Images (or rows) made at once.
            "batch_size": 500,
        }
    )


def variant(config: ConfigDict, name: str, /, **smoke_data) -> ConfigDict:
    """The config itself for "", or for "smoke" the same experiment in two steps.

    Smoke data is made up, in the shape of the real (smoke_data overrides its fields),
    and the network narrow and of one level, so that a CPU is done in seconds.
    """
    if name == "smoke":
        config.data.update({"name": "synthetic", "num_examples": 16, **smoke_data})
        config.train.update(
            {
                "batch_size": 4,
                "num_steps": 2,
                "steps_per_call": 1,
                "accumulate": 1,
                "log_every": 1,
                "sample_every": 0,
                "checkpoint_every": 2,
                "num_preview": 4,
            }
        )
        config.model.update(
            {
                "num_blocks": 1,
                "channels": max(8, 8 * config.model.num_heads),
                "head_channels": min(config.model.head_channels, 8),
                "multipliers": config.model.multipliers[:1],
                "attention": (),  # the middle has it still
            }
        )
        config.sampler.update({"num_steps": 2, "batch_size": 4})
    elif name:
        raise ValueError(f"no variant {name!r} of this config; there is 'smoke'")
    return config
