"""Draw the pictures of a run, each as OUT/KIND.png, its numbers as OUT/KIND.json.

python -m launch.plot all --workdir=runs/mnist_linear --out=out/pictures
python -m launch.plot film --workdir=runs/mnist_linear --out=out --steps=5
python -m launch.plot steps --workdir=runs/flowers_ddim --out=out --num=200
python -m launch.plot schedules --config=configs/iris.py --out=out --all
python -m launch.plot guidance --workdir=runs/fashion_adm --out=out \
    --features=runs/fashion_features --config.sampler.classifier=runs/fashion_classifier
python -m launch.plot counts --workdir=runs/mnist_linear --out=out --features=runs/F
python -m launch.plot gradients --workdir=runs/fashion_adm --out=out --label=Bag \
    --config.sampler.classifier=runs/fashion_classifier
python -m launch.plot nfe --workdir=runs/digits --out=out \
    --features=runs/digits_features
python -m launch.plot nfe --workdir=runs/digits --out=out \
    --features=runs/digits_features --solvers=ddpm,ddim --nfe=25,250 \
    --config.sampler.grid=respaced
python -m launch.plot widths --workdir=runs/wide --out=out \
    --features=runs/digits_features
python -m launch.plot terms --workdir=runs/digits --out=out --num=256
python -m launch.plot latents --workdir=runs/mnist_ae --beside=runs/mnist_vae --out=out
python -m launch.plot loss --workdir=runs/digits --beside=runs/wide,runs/deep --out=out

For a paper, with text of 7 points or more at one column's width (3.25 inches):

python -m launch.plot film --workdir=runs/mnist_linear --out=out/paper \
    --columns=1 --format=pdf --invert

Kinds:
    the process    schedules, corruption, spread (small noises add up to q(x_t))
    training       loss, progress, terms (of the bound, beside the loss's weights)
    the network    predictions, mean, embeddings (how similar those of times are)
    samples        grid, film, steps, pairs, counts (of each class), neighbours (is the
                   run memorising?), nfe, widths
    guidance       guidance (a curve), guided (images), gradients (of the classifier)
    autoencoders   latents, walks (in the plane of codes), interpolation, sheet (the
                   decoded plane), reconstructions, decoded

`all` draws those that fit the run, except for what takes minutes: neighbours; nfe, the
Frechet distance of every solver over the number of function evaluations (NFE: calls
of the denoiser for one image); and widths, the same for averages of several widths, at
several guidance scales. schedules, corruption, spread and mean need no trained
parameters: --config=FILE is enough.
"""

import argparse
import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from launch import cli, pages

WORKDIR = flags.DEFINE_string("workdir", None, "The run to draw.")
BESIDE = flags.DEFINE_list(
    "beside",
    [],
    "latents, walks, interpolation, sheet: a second run, drawn to the right; loss: "
    "other runs, in one picture.",
)
FEATURES = flags.DEFINE_string(
    "features",
    None,
    "guidance, counts, neighbours, nfe, widths, and steps with --num of 20 or more: "
    "the run of a classifier, from which features are taken; for all but guidance and "
    "counts also the file of Inception's weights (configs/results/README.md).",
)
OUT = flags.DEFINE_string("out", None, "Folder for KIND.png.")
SEED = cli.define_seed("The seed of noise, samples and the choice of real images.")
NUM = flags.DEFINE_integer(
    "num",
    None,
    "Images or rows drawn; by default 64 in a grid, 500 at each point of guidance, as "
    "many rows as the data have in pairs, 1,000 samples in counts, 2,000 walkers in "
    "spread, 10,000 codes in latents, 100 examples in terms, 3 images in gradients, "
    "and 4 in strips, at most 8, or one image of each of up to 20 classes.",
    lower_bound=1,
)
STEPS = flags.DEFINE_integer(
    "steps", None, "film: sampling steps, by default 5.", lower_bound=1, upper_bound=50
)
SOLVERS = flags.DEFINE_list(
    "solvers", [], "nfe: the solvers to compare; by default all."
)
NFE = flags.DEFINE_list("nfe", [], "nfe: by default 5,10,20,50,100.")
ALL = flags.DEFINE_bool("all", False, "schedules: also draw all the others.")
LABEL = flags.DEFINE_string(
    "label",
    None,
    "gradients: the class whose probability rises, by name or number; by default "
    "the class of each image.",
)
FORCE = flags.DEFINE_bool("force", False, "Overwrite pictures that are there.")
pages.define(images=True)


def main(kind: str) -> None:
    from jaxdiff.runs.experiment import Experiment, open_run
    from jaxdiff.runs.plot import run as plot

    if OUT.value is None:
        cli.fail("--out is missing: where shall the pictures be written?")
    if flags.FLAGS.config is None:
        cli.fail("--config is empty: --config=configs/iris.py, for example")
    unused = [k for k in cli.overrides() if k.startswith(("sampler.", "train."))]
    if unused and not WORKDIR.value:
        cli.fail(
            f"--config.{unused[0]} changes nothing in a picture of a config: only "
            "pictures of a run (--workdir) draw samples. Leave it out"
        )
    if not all(n.isdecimal() and 0 < int(n) < 100_000 for n in NFE.value):
        cli.fail(f"--nfe must be numbers from 1, as in --nfe=25,250, got {NFE.value}")
    if not all(BESIDE.value):
        cli.fail("--beside has an empty name: --beside=runs/a,runs/b, for example")
    nfe, trust = tuple(map(int, NFE.value)), cli.trusts()
    with cli.user_errors():
        workdir = Path(WORKDIR.value) if WORKDIR.value else None
        others = [open_run(Path(folder), trust=trust) for folder in BESIDE.value]
        request = plot.PlotRequest(
            run=Experiment(flags.FLAGS.config, workdir, trust=trust),
            seed=SEED.value,
            num=NUM.value,
            steps=STEPS.value,
            solvers=tuple(SOLVERS.value),
            nfe=nfe,
            every=ALL.value,
            beside=others[0] if others else None,
            more=(*others[1:],),
            features=Path(FEATURES.value) if FEATURES.value else None,
            label=LABEL.value,
        )
        plot.check(request, kind)
    with cli.user_errors(working=True):
        plot.draw(request, kind, Path(OUT.value), force=FORCE.value)


def define_config(argv: list[str]) -> None:
    """--config=FILE, or the config of --workdir with --config.… to override it."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--workdir")
    parser.add_argument("--config")
    given, _ = parser.parse_known_args(argv[1:])
    if given.config is None:
        cli.define_stored_config(argv)
    elif given.workdir is None:
        cli.define_trust()
        config_flags.DEFINE_config_file("config")
    else:
        cli.fail(
            "give either --workdir or --config=FILE: a workdir has its config, whose "
            "fields --config.FIELD=VALUE overrides"
        )


if __name__ == "__main__":
    define_config(sys.argv)
    cli.run(main, word="kind of picture", varied=lambda: ["guidance"])
