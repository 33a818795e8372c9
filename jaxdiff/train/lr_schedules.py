"""Learning-rate schedules. Each name in `__all__` can be chosen by a config.

Every maker takes the peak, the run's number of steps, and `warmup`, the number of steps
over which the rate first rises linearly from 0. It raises ValueError unless peak > 0
and warmup >= 0.
"""

import jax.numpy as jnp
import optax

from jaxdiff.arrays import require

__all__ = ["constant", "cosine", "inverse_sqrt", "linear"]

LrSchedule = optax.Schedule
LARGEST = 3e38


def constant(peak: float, num_steps: int, warmup: int = 0) -> LrSchedule:
    """The peak throughout."""
    del num_steps
    return _warmed(optax.constant_schedule(peak), peak, warmup)


def cosine(
    peak: float, num_steps: int, warmup: int = 0, end: float = 0.0
) -> LrSchedule:
    """Half a cosine from peak to `end` at the last step.

    Errors: ValueError if end < 0.
    """
    _check(peak, warmup)
    require(end >= 0, f"the rate at the end must be at least 0, got {end=}")
    left = max(num_steps - warmup, 1)
    fall = optax.cosine_decay_schedule(peak, left, alpha=end / peak)
    return _warmed(fall, peak, warmup)


def linear(
    peak: float, num_steps: int, warmup: int = 0, end: float = 0.0
) -> LrSchedule:
    """A straight line from peak to `end` at the last step.

    Errors: ValueError if end < 0.
    """
    require(end >= 0, f"the rate at the end must be at least 0, got {end=}")
    left = max(num_steps - warmup, 1)
    return _warmed(optax.linear_schedule(peak, end, left), peak, warmup)


def inverse_sqrt(
    peak: float, num_steps: int, warmup: int = 0, hold: int = 70_000
) -> LrSchedule:
    """peak min(n / warmup, 1) / sqrt(max(n / hold, 1)) after n steps.

    Errors: ValueError if hold <= 0.
    Source: Karras et al. 2024, arXiv:2312.02696, eq. 67.
    """
    del num_steps
    require(hold > 0, f"hold must be > 0, got {hold=}")
    _check(peak, warmup)

    def rate(count):
        rise = jnp.minimum(count / warmup, 1.0) if warmup else 1.0
        return peak * rise / jnp.sqrt(jnp.maximum(count / hold, 1.0))

    return rate


def oddities(
    lr: LrSchedule, num_steps: int, before: LrSchedule, done: int
) -> list[str]:
    """What to note of the rate of a run of num_steps, in words; usually nothing.

    Args: before: the rate of the `done` steps that the run has already, if any.
    """

    def at(rate, step):
        return float(jnp.asarray(rate(step)))

    texts = []
    if at(lr, num_steps) > at(lr, num_steps - 1):
        texts.append(f"the warmup does not end within the run's {num_steps:,} steps")
    if 0 < done < num_steps and at(lr, done) > 2 * at(before, done - 1):
        texts.append(
            f"the run continues at step {done:,}, where the rate jumps from "
            f"{at(before, done - 1):.2g} to {at(lr, done):.2g}: it is spread over all "
            f"{num_steps:,} steps; a constant rate does not jump"
        )
    return texts


def _check(peak, warmup):
    require(
        0 < peak < LARGEST,
        f"the learning rate must be > 0 and finite in float32, got {peak=}",
    )
    require(warmup >= 0, f"warmup must be >= 0 steps, got {warmup=}")


def _warmed(schedule, peak, warmup):
    _check(peak, warmup)
    if not warmup:
        return schedule
    rise = optax.linear_schedule(0.0, peak, warmup)
    return optax.join_schedules([rise, schedule], [warmup])
