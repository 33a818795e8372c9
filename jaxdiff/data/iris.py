"""Fisher's Iris, from scikit-learn: 150 flowers, 4 lengths in cm and the species."""

from typing import Any

from sklearn.datasets import load_iris

from jaxdiff.data import table
from jaxdiff.data.source import Source


def make(columns: tuple[str, ...] = (), rounded: bool = True) -> Source:
    """Iris as x f32[b, 7]: 4 measurements, then 3 one-hot species, all standardised.

    Args:   columns: which of "sepal length (cm)", "sepal width (cm)", "petal length
            (cm)", "petal width (cm)", "class" to keep, in this order; () for all.
            rounded: decode lengths to tenths of a centimetre, like the data.
    Errors: ValueError for a column that Iris does not have.
    """
    iris: Any = load_iris()
    data = dict(zip(iris.feature_names, iris.data.T, strict=True))
    data["class"] = iris.target_names[iris.target]
    return table.from_columns(table.select(data, columns), rounded=rounded)
