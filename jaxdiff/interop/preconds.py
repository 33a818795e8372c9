"""EDM's preconditionings and training, as fields of a config.

    D(x; sigma) = c_skip x + c_out F(c_in x; c_noise)

                c_skip              c_out        c_in            c_noise
    EDMPrecond  s^2 / n^2           sigma s / n  1 / n           log(sigma) / 4
    VPPrecond   1                   -sigma       1 / sqrt(...)   999 t(sigma)
    VEPrecond   1                   sigma        1               log(sigma / 2)

with n^2 = sigma^2 + s^2, s the standard deviation of the data, and sigma^2 + 1 under
the root. Where c_skip is 1, F is the prediction eps, of VE with the other sign.
Source: Karras et al. 2022, arXiv:2206.00364, table 1.
"""

from typing import Any, NamedTuple

__all__ = ["PRECONDS", "assumed", "fields"]


class Precond(NamedTuple):
    """A preconditioning as fields of config.diffusion.

    schedule, prediction, time_feature: which make the same denoiser
    times, grid: the levels of noise that it is trained and sampled at
    """

    schedule: str
    prediction: str
    time_feature: str
    times: str
    grid: str


PRECONDS = {
    "EDMPrecond": Precond("edm", "edm", "log_std", "lognormal_sigma", "karras"),
    "VPPrecond": Precond("vp_sde", "eps", "time(scale=999.0)", "uniform", "karras"),
    "VEPrecond": Precond(
        "edm(sigma_max=100.0)",
        "eps",
        "log_std(scale=1.0, unit=2.0)",
        "log_uniform_sigma",
        "karras(sigma_min=0.02)",
    ),
}


def fields(name: str, sigma_data: float, classes: int) -> dict[str, Any]:
    """The fields of config.diffusion that a preconditioning determines.

    name: of PRECONDS.  sigma_data: s.  classes: 0 without labels.
    """
    form, is_edm = PRECONDS[name], name == "EDMPrecond"
    stated = is_edm and sigma_data != 0.5
    block = {
        "scaling": "unscaled",
        "schedule": form.schedule,
        "prediction": f"edm(sigma_data={sigma_data})" if stated else form.prediction,
        "sigma_data": sigma_data if is_edm else 0.0,
        "time_feature": form.time_feature,
        "condition": "label" if classes else "none",
        **({"label_dropout": 0.0} if classes else {}),
    }
    return {f"diffusion.{field}": value for field, value in block.items()}


def assumed(name: str, side: int, classes: int) -> dict[str, Any]:
    """Training and sampling as published, and the data: CIFAR-10 and ImageNet by their
    size and classes, otherwise a folder of images.
    """
    data: dict[str, Any] = {"data.name": "folder", "data.size": side}
    if side == 32:
        data = {"data.name": "tfds", "data.dataset": "cifar10"}
    elif classes == 1000:
        data |= {"data.name": "tfds", "data.dataset": "imagenet2012"}
    return {
        **data,
        "data.flip": True,
        "diffusion.times": PRECONDS[name].times,
        "diffusion.stratified": False,
        "train.batch_size": 512,
        "train.ema": "half_life",
        "sampler.solver": "heun",
        "sampler.grid": PRECONDS[name].grid,
        "sampler.num_steps": 18,
        "sampler.clip": False,
    }
