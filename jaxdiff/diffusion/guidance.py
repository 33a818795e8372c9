"""Guidance: denoiser -> denoiser.

(1)  x0 = x0_null + scale (x0_cond - x0_null)      classifier-free
(2)  score = score + scale grad log p(y | x_t)      classifier, for every solver
     x0 = x0 + scale sigma^2 / alpha grad,   eps = eps - scale sigma grad
(3)  mean(x_s | x_t) = mean + scale var grad        classifier, for ancestral steps

At fixed x_t and t, x0, eps and v are affine in one another with the same coefficients
for both calls, so guiding any of them is guiding all of them.

Times are f[] or f[b], and so are scales.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, PyTree, expand, require
from jaxdiff.diffusion import conditions
from jaxdiff.diffusion.rules import linear
from jaxdiff.diffusion.types import Denoise, Denoised, Rule, Scale, Schedule, Times

# of sigma / alpha; floats, but arrays inside of jit
Interval = tuple[Scale, Scale]
# (x_t, t, cond) -> main and guide, as a Rule takes them
Estimates = Callable[..., tuple[Denoised, Denoised]]


def unconditional(denoise: Denoise, null: PyTree) -> Denoise:
    """The model without its condition, whatever it is given: `cfg` at scale 0.

    null: the condition that means "none", see conditions.py.
    """
    return Partial(_unconditional, denoise, null)


def _unconditional(
    denoise: Denoise, null: PyTree, x_t: Float[Array, "b ..."], t: Times, cond: PyTree
) -> Denoised:
    return denoise(x_t, t, conditions.null_like(null, cond))


def classifier(
    denoise: Denoise,
    logits: Callable,
    schedule: Schedule,
    scale: Scale,
    form: str = "score",
) -> Denoise:
    """Classifier guidance towards the labels that are the condition, equations 2 or 3.

    Args:   logits: Partial (x_t f32[b, ...], t) -> f32[b, classes], of a classifier of
            noisy data.  schedule: the one of both models.  scale: no unit; 0 is off.
            form: "score", or "mean", which gives ddpm a `mean_shift`.
    Errors: ValueError for another form, and for a condition other than class labels.
    Source: Dhariwal & Nichol 2021, arXiv:2105.05233, algorithms 2 (score), 1 (mean).
    """
    require(form in FORMS, f"form must be one of {', '.join(FORMS)}, got {form=}")
    return Partial(FORMS[form], denoise, logits, schedule, scale)


def _by_score(
    denoise: Denoise,
    logits: Callable,
    schedule: Schedule,
    scale: Scale,
    x_t: Float[Array, "b ..."],
    t: Times,
    cond: PyTree,
) -> Denoised:
    den, grad = denoise(x_t, t, cond), _scaled_grad(logits, scale, x_t, t, cond)
    alpha, sigma = (expand(f(t), x_t) for f in (schedule.alpha, schedule.sigma))
    # where no signal is left (alpha = 0) x_t holds nothing of the class either
    slope = jnp.where(alpha > 0, sigma**2 / jnp.where(alpha > 0, alpha, 1.0), 0.0)
    eps = None if den.eps is None else den.eps - sigma * grad
    return den._replace(x0=den.x0 + slope * grad, eps=eps)


def _by_mean(
    denoise: Denoise,
    logits: Callable,
    schedule: Schedule,
    scale: Scale,
    x_t: Float[Array, "b ..."],
    t: Times,
    cond: PyTree,
) -> Denoised:
    del schedule
    den, grad = denoise(x_t, t, cond), _scaled_grad(logits, scale, x_t, t, cond)
    return den._replace(
        mean_shift=grad if den.mean_shift is None else den.mean_shift + grad
    )


# Forms of classifier guidance: equation 2 and equation 3.
FORMS = {"score": _by_score, "mean": _by_mean}


def _scaled_grad(
    logits: Callable,
    scale: Scale,
    x_t: Float[Array, "b ..."],
    t: Times,
    cond: PyTree,
) -> Float[Array, "b ..."]:
    """scale grad log p(y | x_t), with y the labels of the condition."""
    labels = conditions.labels_of(cond)

    def total(x: Array) -> Array:  # of a sum: the examples do not touch each other
        log_p = jax.nn.log_softmax(logits(x, t))
        return jnp.take_along_axis(log_p, labels[:, None], axis=1).sum()

    return _per_example(scale, x_t) * jax.grad(total)(x_t)


def cfg(
    denoise: Denoise,
    null: PyTree,
    scale: Scale,
    *,
    schedule: Schedule | None = None,
    rule: Rule | None = None,
    interval: Interval = (0.0, float("inf")),
) -> Denoise:
    """Classifier-free guidance, by default equation 1, as one doubled batch.

    Args:   null: the condition that means "none", as for `unconditional` (for labels
            an int).  scale: no unit; 0 is the unconditional model, 1 the conditional.
            schedule, rule: another rule of rules.py, on that schedule.
            interval: of sigma / alpha, outside of which the scale is 1; needs the
            schedule. Source: Kynkäänniemi et al. 2024, arXiv:2404.07724.
    Source: Ho & Salimans 2022, arXiv:2207.12598 (their w is scale - 1).
    """
    pair = Partial(_doubled, denoise, null)
    return Partial(_guided, pair, schedule, rule or linear(), scale, interval)


def _doubled(
    denoise: Denoise, null: PyTree, x_t: Float[Array, "b ..."], t: Times, cond: PyTree
) -> tuple[Denoised, Denoised]:
    times = jnp.broadcast_to(t, x_t.shape[:1])
    both = denoise(
        jnp.concatenate([x_t, x_t]),
        jnp.concatenate([times, times]),
        conditions.double(null, cond),
    )
    given = jax.tree.map(lambda a: jnp.split(a, 2)[0], both)
    return given, jax.tree.map(lambda a: jnp.split(a, 2)[1], both)


def _guided(
    pair: Estimates,
    schedule: Schedule | None,
    rule: Rule,
    scale: Scale,
    interval: Interval,
    x_t: Float[Array, "b ..."],
    t: Times,
    cond: PyTree,
) -> Denoised:
    main, guide = pair(x_t, t, cond)
    if schedule is not None:
        ratio = schedule.sigma(t) / jnp.maximum(schedule.alpha(t), 1e-12)
        inside = (ratio >= interval[0]) & (ratio <= interval[1])
        scale = jnp.where(inside, scale, 1.0)
    return rule(schedule, scale, x_t, t, main, guide)


def autoguidance(
    denoise: Denoise,
    weak: Denoise,
    scale: Scale,
    *,
    schedule: Schedule | None = None,
    rule: Rule | None = None,
    interval: Interval = (0.0, float("inf")),
) -> Denoise:
    """Away from a weaker model of the same data, given the same condition: equation 1.

    Args:   weak: smaller, or trained for less.  scale: no unit; 1 is `denoise` alone.
            schedule, rule, interval: as of `cfg`.
    Source: Karras et al. 2024, arXiv:2406.02507, eq. 3.
    """
    pair = Partial(_both, denoise, weak)
    return Partial(_guided, pair, schedule, rule or linear(), scale, interval)


def _both(
    denoise: Denoise, weak: Denoise, x_t: Float[Array, "b ..."], t: Times, cond: PyTree
) -> tuple[Denoised, Denoised]:
    return denoise(x_t, t, cond), weak(x_t, t, cond)


def _per_example(scale: Scale, x_t: Float[Array, "b ..."]) -> Scale | Array:
    """A scale that multiplies x_t; a number stays one, so that its type stays weak."""
    return expand(scale, x_t) if isinstance(scale, Array) and scale.ndim else scale
