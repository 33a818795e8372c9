"""The classifier: counted by hand; it sees image and time, each example alone."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.models import classifier

X = jax.random.normal(jax.random.key(0), (2, 8, 8, 1))
T = jnp.array([0.0, 500.0])
SMALL = {"shape": (8, 8, 1), "num_classes": 3, "channels": 8, "multipliers": (1, 2)}


def count(params):
    return sum(math.prod(a.shape) for a in jax.tree.leaves(params))


def norm(c):
    return 2 * c


def conv(c, f, k=3):
    return k * k * c * f + f


def res(c, f, emb):
    """norm, conv, embedding (scale and shift), norm, conv, and a skip if it widens."""
    skip = conv(c, f, 1) if c != f else 0
    return norm(c) + conv(c, f) + conv(emb, 2 * f, 1) + norm(f) + conv(f, f) + skip


def attention(c):
    return norm(c) + conv(c, 3 * c, 1) + conv(c, c, 1)


def by_hand(side, colours, classes, w, multipliers, blocks, attended):
    """The layers of the module's docstring, added up."""
    emb = 4 * w
    total = conv(w, emb, 1) + conv(emb, emb, 1)  # time
    now, c = side, int(w * multipliers[0])
    total += conv(colours, c)
    for i, m in enumerate(multipliers):
        for _ in range(blocks):
            total += res(c, int(w * m), emb)
            c = int(w * m)
            total += attention(c) if now in attended else 0
        if i < len(multipliers) - 1:
            total += res(c, c, emb)  # halves the map
            now //= 2
    total += 2 * res(c, c, emb) + attention(c) + norm(c)
    pool = (now * now + 1) * c + conv(c, 3 * c, 1)
    return total + pool + conv(c, classes, 1)


@pytest.fixture(scope="module")
def small():
    """A network as one program, `apply(variables, x, t)`, and its first parameters."""
    net = classifier.make(**SMALL)
    apply = jax.jit(net.apply, static_argnames="features")
    return apply, jax.jit(net.init)(jax.random.key(0), X, T)["params"]


def test_a_small_one_counted_by_hand(small):
    assert count(small[1]) == by_hand(8, 1, 3, 8, (1, 2), 1, ())


# Side, levels and blocks a level of ADM's classifiers of 128 channels, and their
# parameters by the constructor released with the paper.
ADM = {
    64: ((1, 2, 3, 4), 4, 65_438_568),
    128: ((1, 1, 2, 3, 4), 2, 42_568_040),
    256: ((1, 1, 2, 2, 4, 4), 2, 54_096_360),
}


@pytest.mark.parametrize("side", ADM)
def test_adms_classifiers_have_the_published_size(side):
    """By shapes alone, and by hand; that of ADM-256 is "about a tenth" of it."""
    levels, blocks, published = ADM[side]
    net = classifier.make(
        shape=(side, side, 3),
        num_classes=1000,
        channels=128,
        multipliers=levels,
        num_blocks=blocks,
        attention=(32, 16, 8),
        num_heads=0,
        head_channels=64,
    )
    x = jax.ShapeDtypeStruct((1, side, side, 3), np.float32)
    t = jax.ShapeDtypeStruct((1,), np.float32)
    params = jax.eval_shape(net.init, jax.random.key(0), x, t)["params"]
    assert count(params) == published
    assert published == by_hand(side, 3, 1000, 128, levels, blocks, (32, 16, 8))
    assert side < 256 or 0.09 < published / 553_838_086 < 0.11


def test_it_starts_as_a_uniform_guess_and_then_sees_image_and_time(small):
    apply, params = small
    assert (apply({"params": params}, X, T) == 0).all()
    # the zero-initialised layers let nothing through; other weights do
    rng = np.random.default_rng(1)
    moved = jax.tree.map(
        lambda a: a + 0.1 * rng.normal(size=a.shape).astype(a.dtype), params
    )
    moved = {"params": moved}
    out = apply(moved, X, T)
    assert out.shape == (2, 3)
    assert not np.allclose(out, apply(moved, X[:, ::-1], T))
    assert not np.allclose(out[0], apply(moved, X, T + 1)[0])
    features = apply(moved, X, T, features=True)
    w = moved["params"]["out"]
    chex.assert_trees_all_close(
        features @ w["kernel"] + w["bias"][None], out, rtol=2e-5
    )


def test_an_example_depends_on_itself_alone(small):
    apply, params = small
    both = apply({"params": params}, X, T, features=True)
    alone = apply({"params": params}, X[1:], T[1:], features=True)
    chex.assert_trees_all_close(both[1:], alone, atol=1e-5, rtol=1e-7)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"num_classes": 0}, "two classes"),
        ({"shape": (9, 9, 1)}, "multiples of 2"),
        ({"dtype": "float16"}, "float32, bfloat16"),
        ({"attention": (3,)}, "attention must list"),
    ],
)
def test_what_cannot_be_built_is_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        classifier.make(**{**SMALL, **fields})
