"""Which code outside jaxdiff a stored run names, and whether it may be imported.

A config can name makers of other packages (choices.py), and importing one runs its
code. What somebody types is trusted. What a workdir names is imported only on request,
so that nobody's workdir runs code: this is checked where a stored config is read.
"""

from ml_collections import ConfigDict

from jaxdiff.choices import is_dotted, name_of
from jaxdiff.notes import note_once
from jaxdiff.schema import flat
from jaxdiff.upgrades import PLACES

# Fields whose text is no choice: it names files, folders and data sets. Any other text
# with a dotted name counts as code, also that of a field which the schema gains later.
TEXTS = (
    *PLACES,
    *("data.dataset", "data.split", "data.checksum", "train.features"),
    *("sampler.weak", "sampler.classifier", "sampler.base"),
)


def foreign(config: ConfigDict) -> dict[str, str]:
    """{field: the dotted name in its text} of all fields that name other code."""
    texts = {k: v for k, v in flat(config).items() if isinstance(v, str)}
    names = {k: name_of(v) for k, v in texts.items() if k not in TEXTS}
    return {k: name for k, name in names.items() if is_dotted(name)}


def check(config: ConfigDict, where: str, trust: bool | ConfigDict) -> None:
    """Note what code a stored config names.

    Args:   where: what the config is called.
            trust: whether to import it; or a config that somebody gave: what this one
            names is trusted.
    Errors: ValueError for code that is not trusted.
    """
    names = foreign(config)
    if isinstance(trust, ConfigDict):
        given = {*foreign(trust).values()}
        names, trust = {k: v for k, v in names.items() if v not in given}, False
    if not names:
        return
    text = ", ".join(f"{name} ({field})" for field, name in names.items())
    if not trust:
        raise ValueError(
            f"{where} names code outside jaxdiff: {text}. It is imported, and so runs, "
            "only with --trust (in Python trust=True)"
        )
    note_once(f"{where}: code outside jaxdiff runs: {text}")
