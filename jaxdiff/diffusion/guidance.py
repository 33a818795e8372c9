"""Guidance: denoiser -> denoiser.

(1)  x0 = x0_null + scale (x0_cond - x0_null)      classifier-free
(2)  score = score + scale grad log p(y | x_t)      classifier, for every solver
     x0 = x0 + scale sigma^2 / alpha grad,   eps = eps - scale sigma grad
(3)  mean(x_s | x_t) = mean + scale var grad        classifier, for ancestral steps

At fixed x_t and t, x0, eps and v are affine in one another with the same coefficients
for both calls, so guiding any of them is guiding all of them.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, PyTree, expand, require
from jaxdiff.diffusion.denoisers import Denoise
from jaxdiff.diffusion.inputs import labels_of
from jaxdiff.diffusion.rules import Rule, linear
from jaxdiff.diffusion.schedules import Schedule


def unlabelled(denoise: Denoise, null: PyTree) -> Denoise:
    """The model without its condition, whatever it is asked: `cfg` at scale 0.

    null: the condition that means "none", shaped as one example's; a part that is None
    stays as it is.
    """
    return Partial(_unlabelled, denoise, null)


def classifier(
    denoise: Denoise,
    logits: Callable,
    schedule: Schedule,
    scale: float | Float[Array, ""],
    form: str = "score",
) -> Denoise:
    """Classifier guidance towards the labels that are the condition, equations 2 or 3.

    Args:   logits: Partial (x_t f32[b, ...], t) -> f32[b, classes], of a classifier of
            noisy data.  schedule: the one of both models.  scale: no unit; 0 is off.
            form: "score", or "mean", which gives ddpm a `mean_shift`.
    Errors: ValueError for another form.
    Source: Dhariwal & Nichol 2021, arXiv:2105.05233, algorithms 2 (score), 1 (mean).
    """
    require(form in FORMS, f"form must be one of {', '.join(FORMS)}, got {form=}")
    return Partial(FORMS[form], denoise, logits, schedule, scale)


def cfg(
    denoise: Denoise,
    null: PyTree,
    scale: float | Float[Array, ""],
    *,
    schedule: Schedule | None = None,
    rule: Rule | None = None,
    interval: tuple[float, float] = (0.0, float("inf")),
) -> Denoise:
    """Classifier-free guidance, by default equation 1, as one doubled batch.

    Args:   null: the condition that means "none", as for `unlabelled` (for labels an
            int).  scale: no unit; 0 is the unconditional model, 1 the conditional.
            schedule, rule: another rule of rules.py, on that schedule.
            interval: of sigma / alpha, outside of which the scale is 1; needs the
            schedule. Source: Kynkäänniemi et al. 2024, arXiv:2404.07724.
    Source: Ho & Salimans 2022, arXiv:2207.12598 (their w is scale - 1).
    """
    pair = Partial(_doubled, denoise, null)
    return Partial(_guided, pair, schedule, rule or linear(), scale, interval)


def autoguidance(
    denoise: Denoise,
    weak: Denoise,
    scale: float | Float[Array, ""],
    *,
    schedule: Schedule | None = None,
    rule: Rule | None = None,
    interval: tuple[float, float] = (0.0, float("inf")),
) -> Denoise:
    """Away from a weaker model of the same data, given the same condition: equation 1.

    Args:   weak: smaller, or trained for less.  scale: no unit; 1 is `denoise` alone.
            schedule, rule, interval: as of `cfg`.
    Source: Karras et al. 2024, arXiv:2406.02507, eq. 3.
    """
    pair = Partial(_both, denoise, weak)
    return Partial(_guided, pair, schedule, rule or linear(), scale, interval)


def _doubled(denoise, null, x_t, t, cond):
    def double(c, n):
        return jnp.concatenate([c, _none(c, n)])

    times = jnp.broadcast_to(t, x_t.shape[:1])
    den = denoise(
        jnp.concatenate([x_t, x_t]),
        jnp.concatenate([times, times]),
        jax.tree.map(double, cond, null),
    )
    own = jax.tree.map(lambda a: jnp.split(a, 2)[0], den)
    return own, jax.tree.map(lambda a: jnp.split(a, 2)[1], den)


def _both(denoise, weak, x_t, t, cond):
    return denoise(x_t, t, cond), weak(x_t, t, cond)


def _guided(pair, schedule, rule, scale, interval, x_t, t, cond):
    wanted, other = pair(x_t, t, cond)
    if schedule is not None:
        ratio = schedule.sigma(t) / jnp.maximum(schedule.alpha(t), 1e-12)
        inside = (ratio >= interval[0]) & (ratio <= interval[1])
        scale = jnp.where(inside, scale, 1.0)
    return rule(schedule, scale, x_t, t, wanted, other)


def _unlabelled(denoise, null, x_t, t, cond):
    return denoise(x_t, t, jax.tree.map(_none, cond, null))


def _none(own, null):
    """The part `null` of a condition for each example; None leaves it as it is."""
    if null is None:
        return own
    return jnp.broadcast_to(jnp.asarray(null, own.dtype), own.shape)


def _grad(logits, x_t, t, labels):
    def total(x):  # of a sum: the examples do not touch each other
        log_p = jax.nn.log_softmax(logits(x, t))
        return jnp.take_along_axis(log_p, labels[:, None], axis=1).sum()

    return jax.grad(total)(x_t)


def _by_score(denoise, logits, schedule, scale, x_t, t, cond):
    den, grad = denoise(x_t, t, cond), scale * _grad(logits, x_t, t, labels_of(cond))
    alpha, sigma = (expand(f(t), x_t) for f in (schedule.alpha, schedule.sigma))
    # where no signal is left (alpha = 0) x_t says nothing of the class either
    slope = jnp.where(alpha > 0, sigma**2 / jnp.where(alpha > 0, alpha, 1.0), 0.0)
    eps = None if den.eps is None else den.eps - sigma * grad
    return den._replace(x0=den.x0 + slope * grad, eps=eps)


def _by_mean(denoise, logits, schedule, scale, x_t, t, cond):
    del schedule
    den, grad = denoise(x_t, t, cond), scale * _grad(logits, x_t, t, labels_of(cond))
    return den._replace(
        mean_shift=grad if den.mean_shift is None else den.mean_shift + grad
    )


# Ways of classifier guidance: equation 2 and equation 3.
FORMS = {"score": _by_score, "mean": _by_mean}
