"""What can be chosen by name, and the error for a wrong choice."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiff.data
import jaxdiff.models
from jaxdiff import choices
from jaxdiff.diffusion import grids, schedules, solvers
from jaxdiff.train import ema, lr_schedules, optim


def test_members_of_a_package_are_its_files_with_a_make():
    for home in (solvers, jaxdiff.models, jaxdiff.data):
        folder = Path(home.__path__[0])
        files = {p.stem for p in folder.glob("*.py") if "\ndef make(" in p.read_text()}
        assert files and set(choices.members(home)) == files


def test_members_of_a_module_are_its_all():
    assert set(choices.members(ema)) == {"constant", "half_life", "power", "warmup"}
    assert choices.members(ema)["warmup"] is ema.warmup


def test_members_of_a_package_with_all_are_what_it_lists():
    assert list(choices.members(schedules)) == schedules.__all__
    assert choices.pick(schedules, "edm") is schedules.edm
    with pytest.raises(ValueError, match="has no 'tables'"):  # a file, not a maker
        choices.pick(schedules, "tables")


def test_a_new_file_can_be_chosen_at_once(tmp_path, monkeypatch):
    (tmp_path / "brand_new.py").write_text("def make(schedule):\n    return 'made'\n")
    monkeypatch.setattr(solvers, "__path__", [*solvers.__path__, str(tmp_path)])
    assert choices.pick(solvers, "brand_new")(None) == "made"
    assert "brand_new" in choices.members(solvers)


@pytest.mark.parametrize(
    ("home", "spec", "message"),
    [
        (solvers, "dimm", "solvers has no 'dimm'; did you mean 'ddim'? It has: c"),
        (solvers, "../os", "is not 'name' or"),
        (solvers, "zzzzzz", "has no 'zzzzzz'. It has: consistency, ddim"),
        (schedules, "cosin", "did you mean 'cosine'?"),
        (lr_schedules, "jnp", "has no 'jnp'"),  # an import is no choice
        (optim, "clipped", "has no 'clipped'"),
        (solvers, "ddim(et=1)", "ddim has no field 'et'; did you mean 'eta'?"),
        (ema, "warmup(dekay=.9)", "warmup has no field 'dekay'; did you mean 'decay'?"),
        (
            lr_schedules,
            "cosine(peak='x')",
            "cosine(peak=...) must be of type float, got 'x'",
        ),
        (
            lr_schedules,
            "cosine(peak=1.0, warmup=0.5)",
            "cosine(warmup=...) must be of type int, got 0.5",
        ),
        (ema, "constant(0.9)", "is not 'name' or 'name(field=value, ...)'"),
        (ema, "constant(decay=0.9", "is not 'name' or"),
        (ema, "constant(decay=open('x'))", "is not 'name' or"),
        (ema, "1 + 1", "is not 'name' or"),
        (ema, "", "is not 'name' or"),
    ],
)
def test_a_wrong_choice_names_the_right_one(home, spec, message):
    with pytest.raises(ValueError) as error:
        choices.choose(home, spec)
    assert message in str(error.value)


def test_the_type_of_a_solvers_field_is_checked_too():
    with pytest.raises(ValueError, match=r"eta.* must be of type float, got 'x'"):
        choices.choose(solvers, "ddim(eta='x')")


def test_fields_reach_the_maker():
    given = {"num_steps": "train.num_steps"}
    lr = choices.choose(lr_schedules, "cosine(peak=1, warmup=10)", given)(num_steps=110)
    np.testing.assert_allclose([lr(5), lr(10), lr(60)], [0.5, 1.0, 0.5], atol=1e-6)
    beta = choices.choose(ema, "constant(decay=0.25)")()(jnp.asarray(1))
    assert float(beta) == 0.25


@pytest.mark.parametrize(
    ("home", "spec", "words"),
    [
        (lr_schedules, "cosine", r"'cosine' lacks peak: write cosine\(peak=...\)"),
        (lr_schedules, "constant(warmup=10)", "lacks peak"),
        (grids, "karras(num_steps=40)", r"sampler\.num_steps sets num_steps; leave it"),
        (solvers, "ddim(eta=1e999)", "must be a finite number, got inf"),
        (solvers, "ddim(eta=nan)", "is not 'name' or"),
        (solvers, "ddim(eta={[]:1})", "is not 'name' or"),
        (solvers, "ddim(eta=" + "-" * 100_000 + "1)", "is not 'name' or"),
        (solvers, "(" * 100_000, "is not 'name' or"),
    ],
)
def test_what_cannot_be_made_is_refused(home, spec, words):
    given = {"num_steps": "sampler.num_steps"}
    with pytest.raises(ValueError, match=words) as error:
        choices.choose(home, spec, given)
    assert len(str(error.value)) < 300
