"""A run of somebody's own code: launchers open it with --trust alone."""

from tests.launch.conftest import SMALL_IRIS, launch, one_line

PARTS = "tests.foreign_parts"


def test_a_launcher_imports_what_a_run_names_with_trust_alone(tmp_path):
    run, out = f"--workdir={tmp_path / 'run'}", f"--out={tmp_path / 'out'}"
    config = [word for word in SMALL_IRIS if ".model." not in word]
    network = f"--config.model.name={PARTS}.linen(width=4)"
    sample = ("launch.sample", run, out, "--num=2")
    convert = ("launch.convert", f"--from={tmp_path / 'run'}", f"--to={tmp_path / 'x'}")
    beside = f"--beside={tmp_path / 'run'}"
    solver = f"--config.sampler.solver={PARTS}.solver"
    outcomes = launch(
        {
            "train": ("launch.train", *config, network, run),
            "resume": ("launch.train", *config, network, run),
            "refused": sample,
            "notrust": (*sample, "--notrust"),
            "plot": ("launch.plot", "loss", run, out),
            "trusted": (*sample, "--trust", solver),
            "convert": (*convert, "--format=diffusers"),
            "convert, trusted": (*convert, "--format=diffusers", "--trust"),
            "beside": ("launch.plot", "latents", *config, beside, out),
            "beside, trusted": (
                "launch.plot",
                "latents",
                *config,
                beside,
                out,
                "--trust",
            ),
        }
    )
    for name in ("train", "resume", "trusted"):
        assert outcomes[name].status == 0, outcomes[name].err
    words = r"config.json names code outside jaxdiff: .*linen \(model.name\).*--trust"
    for name in ("refused", "notrust", "plot", "convert", "beside"):
        one_line(outcomes[name], words)
    for name in ("convert, trusted", "beside, trusted"):  # it is read, and does not fit
        assert "code outside jaxdiff runs" in outcomes[name].err, outcomes[name].err
    assert "code outside jaxdiff runs" in outcomes["trusted"].err
    assert (tmp_path / "out" / "samples.npz").exists()
