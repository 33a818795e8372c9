"""Two tests by random forests of how much a generated table resembles the real one."""

from collections.abc import Callable, Mapping

import numpy as np

Columns = Mapping[str, np.ndarray]

# What is compared: the columns of tables.
DATA = ("tables",)


def make() -> Callable[[Columns, Columns, int], dict[str, float]]:
    """(real, generated, seed) -> the accuracy, on as many rows of each."""
    return _compare


def _compare(real: Columns, generated: Columns, seed: int) -> dict[str, float]:
    return {"two_sample_accuracy": table_accuracy(real, generated, seed)}


def as_features(*tables: Columns) -> list[np.ndarray]:
    """Tables with the same columns as f64[n, columns]; text becomes its sorted rank."""
    features = []
    for name in tables[0]:
        values = [np.asarray(table[name]) for table in tables]
        if values[0].dtype.kind not in "fiu":
            texts = np.unique(np.concatenate(values))
            values = [np.searchsorted(texts, v) for v in values]
        features.append(values)
    return [
        np.stack(parts, 1).astype(np.float64) for parts in zip(*features, strict=True)
    ]


def two_sample_accuracy(
    real: np.ndarray, generated: np.ndarray, seed: int = 0
) -> float:
    """The accuracy with which a forest separates real from generated rows.

    .5 is perfect (it guesses), 1 is hopeless.

    Args:    real, generated: f[n, columns], f[m, columns].
    Returns: accuracy on held-out rows, mean over five folds.
    Source:  Lopez-Paz & Oquab 2017, arXiv:1610.06545, with a random forest.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    x = np.concatenate([real, generated])
    y = np.concatenate([np.zeros(len(real)), np.ones(len(generated))])
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return float(np.mean(cross_val_score(_forest(seed), x, y, cv=folds)))


def table_accuracy(real: Columns, generated: Columns, seed: int = 0) -> float:
    """`two_sample_accuracy` of the first rows of each, as many: chance is one half."""
    rows = as_features(real, generated)
    n = min(map(len, rows))
    return two_sample_accuracy(rows[0][:n], rows[1][:n], seed)


def train_on_generated(
    generated: np.ndarray,
    labels: np.ndarray,
    real: np.ndarray,
    real_labels: np.ndarray,
    seed: int = 0,
) -> float:
    """Accuracy on the real rows of a forest that was trained on generated rows only.

    Source: "train on synthetic, test on real", Esteban et al. 2017, arXiv:1706.02633.
    """
    return float(_forest(seed).fit(generated, labels).score(real, real_labels))


def _forest(seed):
    from sklearn.ensemble import RandomForestClassifier  # slow to import, seldom needed

    return RandomForestClassifier(random_state=seed)
