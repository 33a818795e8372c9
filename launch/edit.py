"""Edit images with a trained run.

python -m launch.edit vary --workdir=runs/digits --out=out/vary --data_index=0,1,2
python -m launch.edit vary --workdir=runs/digits --out=out/eights --image=mine.png \
    --resize --strength=.8 --label=8
python -m launch.edit inpaint --workdir=runs/digits --out=out/half --data_index=0:8 \
    --mask=right --config.sampler.resample=10 --config.sampler.solver=ddpm
python -m launch.edit invert --workdir=runs/digits --out=out/there --data_index=0:8
python -m launch.edit interpolate --workdir=runs/digits --out=out/way --data_index=3,8
python -m launch.edit upscale --workdir=runs/digits --out=out/large --data_index=0:4
python -m launch.edit colourise --workdir=runs/flowers_ddim --out=out/c --image=grey.png

Kinds: vary (noised, and sampled from there), inpaint (a part drawn anew), invert (the
noise of an image, and what comes back from it), interpolate (between two), upscale,
colourise. All write edit.png, before and after, and edited.npz. The number of function
evaluations (NFE) that is printed counts the calls of the denoiser for one image.
"""

import sys
from pathlib import Path

from absl import flags

from launch import cli, pages

WORKDIR = flags.DEFINE_string("workdir", None, "The run to edit with.")
OUT = flags.DEFINE_string("out", None, "Folder for edit.png, edited.npz and the rest.")
IMAGE = flags.DEFINE_multi_string("image", [], "A picture, or a folder; repeatable.")
INDEX = flags.DEFINE_list(
    "data_index", [], "Instead, the run's own data: 0,1,2 or 0:200."
)
RESIZE = flags.DEFINE_bool("resize", False, "Bring pictures to the needed size.")
NUM = flags.DEFINE_integer(
    "num", None, "Results of each image (4); images from end to end of interpolate (8)."
)
SEED = cli.define_seed("Result i depends on (seed, i) and its image.")
LABEL = cli.define_label("The class to draw; by default the data's own, or none.")
STRENGTH = flags.DEFINE_float("strength", 0.6, "Noised to this time, up to 1: all new.")
MASK = flags.DEFINE_string(
    "mask",
    "",
    "White is drawn anew, black is kept: a picture of the model's size, or one of top, "
    "bottom, left, right, centre.",
)
FACTOR = flags.DEFINE_integer("factor", 2, "So many times as wide and as high.")
METHOD = flags.DEFINE_string(
    "method",
    "",
    "pigdm (the denoiser's derivatives carry what is known to the rest) or project; by "
    "default pigdm, and for inpaint --config.sampler.known.",
)
EVERY = flags.DEFINE_bool(
    "every", False, "Measure every solver that draws no noise, at --nfe each."
)
NFE = flags.DEFINE_integer(
    "nfe", 100, "Function evaluations (NFE) of --every, there and back, at most."
)
PNG = flags.DEFINE_bool("png", False, "Also write every result as a PNG of its own.")
FORCE = flags.DEFINE_bool("force", False, "Write into a folder that is not empty.")
pages.define()


def main(kind: str) -> None:
    from jaxdiff.runs.edit import run as edit
    from jaxdiff.runs.experiment import open_run

    if OUT.value is None:
        cli.fail("--out is missing: where shall the results be written?")
    with cli.user_errors():
        edit.check_taken(kind, [n for n in edit.ONLY if flags.FLAGS[n].present])
        run = open_run(Path(WORKDIR.value), flags.FLAGS.config, trust=cli.trusts())
        request = edit.EditRequest(
            run=run,
            images=IMAGE.value,
            index=INDEX.value,
            num=NUM.value,
            seed=SEED.value,
            label=cli.chosen_class(LABEL.value, run.source),
            mask=MASK.value,
            strength=STRENGTH.value,
            factor=FACTOR.value,
            method=METHOD.value,
            resize=RESIZE.value,
            png=PNG.value,
            every=EVERY.value,
            nfe=NFE.value,
        )
    with cli.user_errors(working=True):
        edit.run(kind, request, Path(OUT.value), FORCE.value)


if __name__ == "__main__":
    cli.define_stored_config(sys.argv)
    cli.run(main, word="kind of edit")
