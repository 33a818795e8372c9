"""Drawing pictures of a run: every kind by name, checked before any work."""

from dataclasses import replace
from pathlib import Path

from jaxdiff import choices
from jaxdiff.arrays import require
from jaxdiff.files import write_numbers
from jaxdiff.lock import locked
from jaxdiff.plots import styles
from jaxdiff.plots.page import check_inverted, files_of, page
from jaxdiff.runs import workdir
from jaxdiff.runs.plot import (
    autoencoder,
    bound,
    counts,
    diffusion,
    embeddings,
    gradients,
    guidance,
    losses,
    neighbours,
    planes,
    quality,
    spread,
)
from jaxdiff.runs.plot.spec import Experiment, PlotRequest

HOMES = (
    *(diffusion, spread, bound, embeddings, quality, guidance, gradients, counts),
    *(neighbours, autoencoder, planes, losses),
)
SPECS = {name: spec for home in HOMES for name, spec in home.SPECS.items()}
# The flags of the fields of a request that only some kinds take.
FLAGS = {name: name for name in ("num", "seed", "steps", "solvers", "nfe", "label")}
FLAGS["every"] = "all"


def draw(
    request: PlotRequest, kind: str, out: Path, *, force: bool = False
) -> list[Path]:
    """Draw one kind, or with "all" every kind that fits: OUT/KIND.png and KIND.json.

    Pictures have the formats of the page in effect.

    Errors: ValueError, before any work, for an unknown kind, one that does not fit the
    data or needs a trained run, and for a picture that exists already without `force`;
    FileNotFoundError for a run or data that do not exist.
    """
    paths = {name: out / f"{name}.png" for name in check(request, kind)}
    files = [[*files_of(path), path.with_suffix(".json")] for path in paths.values()]
    there = [str(file) for some in files for file in some if file.exists()]
    verb = "exist" if len(there) > 1 else "exists"
    require(force or not there, f"{', '.join(there)} {verb}; --force overwrites")
    of = {"workdir": str(request.run.workdir)} if request.run.workdir else {}
    with locked(out):
        for name, path in paths.items():
            chosen, real = _compared(request, name)
            numbers = styles.drawn(SPECS[name].draw)(chosen, path)
            write_numbers(path.with_suffix(".json"), of | real | numbers)
            print(*files_of(path), sep="\n")
    return list(paths.values())


def _compared(request: PlotRequest, kind: str) -> tuple[PlotRequest, dict[str, str]]:
    """The request with the real images that the kind compares with, and which."""
    if not SPECS[kind].real or not request.run.source.holdout:
        return request, {}
    run = request.run.on_holdout()
    print(f"{kind}: real images are the {len(run.images):,} that are held out")
    return replace(request, run=run), {"real": "held_out"}


def check(request: PlotRequest, kind: str) -> list[str]:
    """The kinds to draw for `kind`. Errors: as of `draw`."""
    known = ["all", *SPECS]
    require(kind in known, f"no kind of picture {kind!r}{choices.hint(kind, known)}")
    kinds = [k for k, spec in SPECS.items() if spec.quick] if kind == "all" else [kind]
    misfits = {k: misfit(request, k) for k in kinds}
    names = [k for k, reason in misfits.items() if not reason]
    for other in request.others:
        _check_beside(request, other, kind)
    require(kind == "all" or names, f"{kind!r} {misfits.get(kind)}")
    if page().invert:
        shown = [k for k in names if SPECS[k].pixels and request.run.is_image]
        require(shown, f"--invert is for grey images, and {kind!r} shows none")
        check_inverted(request.run.images.shape)
    needs = {k: SPECS[k].needs(request) for k in names}
    _check_used(request, kind, needs)
    _check_taken(request, kind, names)
    for need in dict.fromkeys(need for some in needs.values() for need in some):
        request.read(need)
    return names


def _check_taken(request: PlotRequest, kind: str, names: list[str]) -> None:
    """ValueError for a field of FLAGS that no picture takes, or too large a number."""
    for field, flag in FLAGS.items():
        takers = [k for k, spec in SPECS.items() if field in spec.takes]
        require(
            getattr(request, field) == getattr(PlotRequest, field)
            or {*takers} & {*names},
            f"--{flag} changes nothing in {kind!r}: it is for {', '.join(takers)}. "
            "Leave it out",
        )
    _ = request.target
    if kind != "all" and request.num is not None:
        most = SPECS[kind].num(request)[1]
        require(
            request.num <= most,
            f"--num={request.num} is more than {kind!r} draws: give {most} at most",
        )


def _check_used(
    request: PlotRequest, kind: str, needs: dict[str, tuple[str, ...]]
) -> None:
    """ValueError for --features, or a changed sampler, that no picture depends on."""
    run, every = request.run, [need for some in needs.values() for need in some]
    require(
        not request.features or "extractor" in every,
        f"--features changes nothing in {kind!r}: it is for guidance, counts, "
        f"neighbours, nfe, widths, and for steps with --num={quality.ENOUGH} or more. "
        "Leave it out",
    )
    if run.workdir:
        used = {"ema"} if "params" in every else set()
        for name in (k for k, some in needs.items() if "sampler" in some):
            used |= {*run.config.sampler} - {*SPECS[name].sets}
        unused = [f"sampler.{k}" for k in run.config.sampler if k not in used]
        draws = "sets it (film: --steps)" if "sampler" in every else "draws no samples"
        why = f"changes nothing in {kind!r}, which {draws}: launch.sample takes it"
        workdir.check_used(run.workdir, run.config, (*unused, *workdir.KNOWN), why)


def _check_beside(request: PlotRequest, other: Experiment, kind: str) -> None:
    """ValueError unless `kind` compares runs, and these can be compared."""
    run, num = request.run, len(request.others)
    pairs = [k for k, spec in SPECS.items() if spec.pairs]
    require(
        kind in (*pairs, "all"),
        f"--beside is for {', '.join(pairs)} (or all), not for {kind!r}",
    )
    most = SPECS[kind].pairs if kind != "all" else 1
    require(num <= most, f"--beside of {kind!r} takes {most} at most, got {num}")
    runs = [one.path.resolve() for one in (run, *request.others) if one.workdir]
    require(
        runs.count(other.path.resolve()) == 1,
        f"--beside={other.workdir} is drawn twice: name each run once, in --workdir "
        "or in --beside",
    )
    # losses may be of other data, and latent spaces may not
    data = workdir.differing(other.config, run.config, within=["data"])
    same_data = kind == "loss" or not data
    require(
        other.config.task == run.config.task and same_data,
        f"--beside {other.workdir} is no {run.config.task} of the same data: give "
        "a run whose task and data fields equal those of --workdir",
    )


def misfit(request: PlotRequest, kind: str) -> str:
    """Why a kind cannot be drawn for this request, or ""."""
    run, spec = request.run, SPECS[kind]
    if spec.task and spec.task != run.config.task:
        return f"is for task={spec.task!r}, and this config's is {run.config.task!r}"
    if spec.needs(request) and not run.workdir:
        return "needs a trained run: give its --workdir"
    if spec.data:
        data = "images" if run.is_image else "tables"
        if data not in spec.data:
            return f"is for {spec.data[0]}, and the data are {data}"
    least, _ = spec.num(request) if request.num else (0, 0)
    if request.num and request.num < least:
        return f"needs --num={least} or more, got {request.num}"
    return spec.misfit(request)
