"""What every metric is called, and which values of it are better: tables and axes."""

from typing import NamedTuple

LOWER, HIGHER = "lower", "higher"


class Title(NamedTuple):
    """text: on an axis, with its unit.  better: which values are, "" for none"""

    text: str
    better: str = LOWER

    @property
    def direction(self) -> str:
        """ "lower is better", or ""."""
        return f"{self.better} is better" if self.better else ""

    @property
    def short(self) -> str:
        """With an arrow to the better values: "KID ↓"."""
        arrow = {LOWER: " ↓", HIGHER: " ↑"}.get(self.better, "")
        return self.text + arrow

    def axis(self, *details: str) -> str:
        """ "Fréchet distance, 2000 samples (lower is better)"."""
        text = ", ".join([self.text, *details])
        return f"{text} ({self.direction})" if self.better else text


# By a name up to its comma or colon: "bpd, discrete", "apart: width".
TITLES = {
    "frechet": Title("Fréchet distance"),
    "real_to_real": Title("Fréchet distance of real images to others", ""),
    "kid": Title("KID"),
    "precision": Title("precision", HIGHER),
    "recall": Title("recall", HIGHER),
    "density": Title("density", HIGHER),
    "coverage": Title("coverage", HIGHER),
    "inception_score": Title("inception score", HIGHER),
    "label_accuracy": Title("label accuracy", HIGHER),
    "sliced": Title("sliced Wasserstein distance"),
    "apart": Title("distance of a column, standard deviations"),
    "correlation_gap": Title("mean difference of correlations"),
    "two_sample_accuracy": Title(
        "accuracy of a forest that separates generated rows from real ones", "near 0.5"
    ),
    "bpd": Title("bits per dimension"),
    "loss": Title("loss"),
    "x0_mae": Title("mean absolute error of x0"),
}


def title(name: str) -> Title:
    """Of a metric as results name it; one that TITLES lacks is called by its name."""
    first = name.partition(":")[0].partition(",")[0]
    if "real-to-real" in name:
        first = "real_to_real"
    return TITLES.get(first, Title(first, ""))


def directions(*names: str) -> str:
    """ "Fréchet distance: lower is better; KID: lower is better"."""
    return "; ".join(f"{title(name).text}: {title(name).direction}" for name in names)
