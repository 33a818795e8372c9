"""The training loss of every denoiser.

(1)  x_t = alpha(t) x0 + sigma(t) eps,   out = network(x_t, t, cond)
(2)  loss = factor(t) mean distance(out - target)              weights.py, eq. 2
(3)  x0_mae = mean |x0_hat - x0|                               logged, not trained on
(4)  loss + weight T bound, the hybrid loss of improved DDPM. `bound` is one term of
     equation 1 in likelihood.py, for the step drawn, which stands for all T steps. Its
     gradient reaches the variance, not the mean.

Each name in `__all__` is a distance that a config can choose.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.arrays import Array, Float, PyTree, expand, mean_of_each, require
from jaxdiff.diffusion.denoisers import make_denoise
from jaxdiff.diffusion.levels import coeffs
from jaxdiff.diffusion.likelihood import Decoder, step_bpd
from jaxdiff.diffusion.noises import Noise
from jaxdiff.diffusion.predictions import Prediction, make_target, to_x0
from jaxdiff.diffusion.times import TimeSampler
from jaxdiff.diffusion.types import Coeffs, Network, Schedule
from jaxdiff.diffusion.weights import Weight, target_factor
from jaxdiff.rng import Keys

__all__ = ["huber", "mae", "mse"]

# errors -> distances, elementwise
Distance = Callable[[Array], Array]


class Objective(NamedTuple):
    """What training minimises.

    schedule, prediction, times, weight, distance, noise: the parts of equations 1 and 2
    stratified:       spread the times evenly over the batch (rng.py)
    learned_variance: the network predicts a variance too
    bound_weight:     of equation 4, for a learned variance; 0 leaves the bound out
    bound_steps:      T of equation 4, with s = t - 1 / T
    decoder:          of the last step of the bound, see likelihood.py
    """

    schedule: Schedule
    prediction: Prediction
    times: TimeSampler
    weight: Weight
    distance: Distance
    noise: Noise
    stratified: bool = True
    learned_variance: bool = False
    bound_weight: float = 0.0
    bound_steps: int = 1000
    decoder: Decoder | None = None


def noised(
    keys: Keys, x0: Float[Array, "b ..."], objective: Objective
) -> tuple[Coeffs, Float[Array, "b ..."], Float[Array, "b ..."]]:
    """Draw a time and a noise for each example, equation 1.

    Args:    keys: one per example.  x0: f[b, ...].
             objective: its schedule, times and noise are used.
    Returns: Coeffs of f[b], x_t f[b, ...], eps f[b, ...].
    """
    draws = rng.draw(jax.random.uniform, rng.fold(keys.key, 0), ())
    t = objective.times(keys.stratum if objective.stratified else draws)
    eps = rng.draw(objective.noise, rng.fold(keys.key, 1), x0.shape[1:])
    c = coeffs(objective.schedule, t)
    x_t = expand(c.alpha, x0) * x0 + expand(c.sigma, x0) * eps
    return c, x_t, eps


def denoising_loss(
    keys: Keys,
    network: Network,
    x0: Float[Array, "b ..."],
    cond: PyTree,
    objective: Objective,
) -> tuple[Float[Array, "b"], dict[str, Float[Array, "b"]]]:
    """The loss of each example, equation 2 (plus 4), with equation 3 as a metric.

    Args:    keys: one per example.  network: (x_t, Coeffs, cond) -> out.
             x0: f32[b, ...].  cond: any condition that the network takes, or None.
             objective: what to minimise.
    Returns: loss f32[b], {"x0_mae": f32[b]}.
    Errors: ValueError for a part whose result has another shape: it would broadcast.
    """
    c, x_t, eps = noised(keys, x0, objective)
    _check_shape("diffusion.times gives", c.t, x0.shape[:1])
    _check_shape("diffusion.noise gives", eps, x0.shape)
    row = objective.prediction(c)
    output = network(x_t, c, cond)
    width = x0.shape[-1] * (2 if objective.learned_variance else 1)
    _check_shape("the network of model.name gives", output, (*x0.shape[:-1], width))
    out = jnp.split(output, 2, -1)[0] if objective.learned_variance else output
    error = objective.distance(out - make_target(row, x0, eps))
    _check_shape("diffusion.distance gives", error, x0.shape)
    loss = target_factor(objective.weight, row, c) * mean_of_each(error)
    _check_shape("diffusion.weight makes the loss", loss, x0.shape[:1])
    metrics = {"x0_mae": mean_of_each(jnp.abs(to_x0(row, c, x_t, out) - x0))}
    if objective.bound_weight:
        bound = _bound(objective, c, x0, x_t, output)
        loss = loss + objective.bound_weight * objective.bound_steps * bound
    return loss, metrics


def _check_shape(what: str, value: PyTree, shape: tuple[int, ...]) -> None:
    """ValueError for what is no array f[*shape]."""
    dims = ", ".join(map(str, shape))
    got = type(value).__name__
    if isinstance(value, jax.Array):
        got = jax.typeof(value).str_short(short_dtypes=True).replace(",", ", ")
    require(
        isinstance(value, jax.Array) and value.shape == shape,
        f"{what} {got}, and these data need f32[{dims}]",
    )


def _bound(
    objective: Objective,
    c: Coeffs,
    x0: Float[Array, "b ..."],
    x_t: Float[Array, "b ..."],
    output: Float[Array, "b ..."],
) -> Float[Array, "b"]:
    """The term of equation 4 for the step that starts at c.t, in bits per dimension."""
    assert objective.decoder, "the bound's last step needs a decoder"
    # the output is wrapped as a network, since the bound takes a denoiser
    denoised = make_denoise(
        Partial(lambda *_: output),
        schedule=objective.schedule,
        prediction=objective.prediction,
        learned_variance=True,
    )(x_t, c.t, None)
    denoised = denoised._replace(x0=jax.lax.stop_gradient(denoised.x0))
    step = 1 / objective.bound_steps
    # s is a difference of rounded times: below half a step it means 0
    s = jnp.where(c.t < 1.5 * step, 0.0, c.t - step)
    return step_bpd(objective.schedule, c.t, s, x0, x_t, denoised, objective.decoder)


def mse() -> Distance:
    """Squared error, |e|^2."""
    return Partial(jnp.square)


def mae() -> Distance:
    """Absolute error, |e|."""
    return Partial(jnp.abs)


def huber(delta: float = 1.0) -> Distance:
    """Huber's distance: |e|^2 / 2 up to delta, then delta (|e| - delta / 2).

    Args:    delta: in the unit of the error.
    Errors:  ValueError if delta <= 0.
    """
    require(delta > 0, f"delta must be > 0, got {delta=}")
    return Partial(_huber, delta)


def _huber(
    delta: float | Float[Array, ""], error: Float[Array, "..."]
) -> Float[Array, "..."]:
    small = jnp.minimum(jnp.abs(error), delta)
    return small * (jnp.abs(error) - 0.5 * small)
