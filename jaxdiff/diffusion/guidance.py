"""Guidance: functions that take a denoiser and return a guided one.

(1)  x0 = x0_null + scale (x0_cond - x0_null)     classifier-free
(2)  score = score + scale grad log p(y | x_t)    by a classifier, for every solver
     x0 = x0 + scale sigma^2 / alpha grad,   eps = eps - scale sigma grad
(3)  mean(x_s | x_t) = mean + scale var grad      by a classifier, for ancestral steps

At given x_t and t, each of x0, eps and v is an affine function of any other, with the
same coefficients for both estimates. Guiding one of them therefore guides all.

Times and scales are f[] or f[b].
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, Int, PyTree, expand, require
from jaxdiff.diffusion import conditions
from jaxdiff.diffusion.denoisers import noise_of
from jaxdiff.diffusion.rules import linear
from jaxdiff.diffusion.types import Denoise, Denoised, Rule, Scale, Schedule, Times

# bounds of sigma / alpha: floats, or arrays inside jit
Interval = tuple[Scale, Scale]
# (x_t, t, cond) -> (main, guide), the arguments of a Rule
Estimates = Callable[..., tuple[Denoised, Denoised]]


def unconditional(denoise: Denoise, null: PyTree) -> Denoise:
    """The model without its condition, which is `cfg` at scale 0.

    Args:    denoise: conditional.
             null: the condition that means "none" (conditions.py).
    Returns: Denoise that ignores the values of its condition.
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
    """Classifier guidance towards the class labels in the condition, equation 2 or 3.

    Args:    logits: Partial, (x_t f32[b, ...], t) -> f32[b, classes], from a classifier
             of noisy data.  schedule: of both models.  scale: no unit; 0 is off.
             form: "score" (eq. 2), or "mean" (eq. 3), which gives ddpm a `mean_shift`.
    Returns: Denoise whose condition must be class labels.
    Errors:  ValueError for another form, and for a condition other than class labels.
    Source:  Dhariwal & Nichol 2021, arXiv:2105.05233, algorithms 2 (score), 1 (mean).
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
    # without signal (alpha = 0), x_t does not depend on the class either
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
    """scale grad log p(y | x_t), where y are the labels in the condition."""
    grad, _ = log_p_grad(logits, x_t, t, conditions.labels_of(cond))
    return _per_example(scale, x_t) * grad


def log_p_grad(
    logits: Callable, x_t: Float[Array, "b ..."], t: Times, labels: Int[Array, "b"]
) -> tuple[Float[Array, "b ..."], Float[Array, "b"]]:
    """The gradient of log p(y | x_t) in x_t, and log p(y | x_t) in nats, y the labels.

    logits: as for `classifier`
    """

    def total(x: Array) -> tuple[Array, Array]:  # of examples that are independent
        log_p = jax.nn.log_softmax(logits(x, t))
        log_p = jnp.take_along_axis(log_p, labels[:, None], axis=1)[:, 0]
        return log_p.sum(), log_p

    return jax.grad(total, has_aux=True)(x_t)


def cfg(
    denoise: Denoise,
    null: PyTree,
    scale: Scale,
    *,
    schedule: Schedule | None = None,
    rule: Rule | None = None,
    interval: Interval = (0.0, float("inf")),
) -> Denoise:
    """Classifier-free guidance, equation 1 or another rule, as one doubled batch.

    Args:    denoise: trained with and without its condition.
             null: the condition that means "none" (conditions.py); an int for labels.
             scale: no unit; 0 is the unconditional model, 1 the conditional one.
             schedule: needed by `interval` and by some rules.  rule: see rules.py.
             interval: of sigma / alpha; outside of it the scale is 1.
    Returns: Denoise.
    Source:  Ho & Salimans 2022, arXiv:2207.12598 (their w is scale - 1);
             Kynkäänniemi et al. 2024, arXiv:2404.07724, for the interval.
    """
    pair = Partial(_doubled, denoise, null)
    return Partial(_guided, pair, schedule, rule or linear(), scale, interval)


def _doubled(
    denoise: Denoise, null: PyTree, x_t: Float[Array, "b ..."], t: Times, cond: PyTree
) -> tuple[Denoised, Denoised]:
    both = denoise(
        jnp.concatenate([x_t, x_t]),
        jnp.concatenate([t, t]) if jnp.ndim(t) else t,
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
    if schedule is None:
        return rule(schedule, scale, x_t, t, main, guide)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    ratio = sigma / jnp.maximum(alpha, 1e-12)
    inside = (ratio >= interval[0]) & (ratio <= interval[1])
    guided = rule(schedule, jnp.where(inside, scale, 1.0), x_t, t, main, guide)
    if guided.eps is None:
        return guided
    # of CFG++, whose noise is the guide's at any scale
    eps = noise_of(main, x_t, alpha, sigma)
    return guided._replace(eps=jnp.where(expand(inside, x_t), guided.eps, eps))


def autoguidance(
    denoise: Denoise,
    weak: Denoise,
    scale: Scale,
    *,
    schedule: Schedule | None = None,
    rule: Rule | None = None,
    interval: Interval = (0.0, float("inf")),
) -> Denoise:
    """Guidance away from a weaker model with the same condition, equation 1.

    Args:    denoise: the model.  weak: a smaller one, or one trained for less time, on
             the same data.  scale: no unit; 1 is `denoise` alone.
             schedule, rule, interval: as for `cfg`.
    Returns: Denoise.
    Source:  Karras et al. 2024, arXiv:2406.02507, eq. 3.
    """
    pair = Partial(_both, denoise, weak)
    return Partial(_guided, pair, schedule, rule or linear(), scale, interval)


def _both(
    denoise: Denoise, weak: Denoise, x_t: Float[Array, "b ..."], t: Times, cond: PyTree
) -> tuple[Denoised, Denoised]:
    return denoise(x_t, t, cond), weak(x_t, t, cond)


def _per_example(scale: Scale, x_t: Float[Array, "b ..."]) -> Scale | Array:
    """A scale that multiplies x_t. Numbers are returned as they are, so that their type
    stays weak.
    """
    return expand(jnp.asarray(scale), x_t) if jnp.ndim(scale) else scale
