"""The flags of every command that draws: formats, resolution and width of pictures."""

from absl import flags

flags.disclaim_key_flags()  # what is defined here is a flag of the launcher: --help

NAMES = ("format", "dpi", "columns", "invert")


def define(*, images: bool = False) -> None:
    """--format, --dpi and --columns of a command that draws, and of images --invert."""
    flags.DEFINE_list("format", ["png"], "Of every picture: png, pdf, svg, or several.")
    flags.DEFINE_integer(
        "dpi", None, "Dots per inch of a PNG: 110, or with --columns 300.", 20, 1200
    )
    flags.DEFINE_integer(
        "columns",
        0,
        "Width of a figure in columns of a paper, at most: 1 (3.25 inches) or 2 "
        "(6.75). By default figures have any size, for a screen.",
        lower_bound=0,
        upper_bound=2,
    )
    if images:
        flags.DEFINE_bool("invert", False, "Draw grey images dark on white.")


def use() -> None:
    """Draw for the page that the flags describe. Errors: ValueError for one that cannot
    be.
    """
    if "columns" in flags.FLAGS:  # another command's --format is not of a picture
        chosen = {k: flags.FLAGS[k].value for k in NAMES if k in flags.FLAGS}
        from jaxdiff.plots.page import make_page, set_page

        set_page(make_page(chosen.pop("format"), **chosen))
