"""What is offered of a run, and requests: a mistake is one clear sentence."""

import pytest

from jaxdiff.runs.serve.offer import BadRequestError, make_offer, parse
from tests.runs.conftest import CLASSIFIER, SPECK, tiny_config, untrained


def test_the_offer_is_what_the_run_can_do(images, rows):
    offer = images.offer
    assert offer.kind == "images" and offer.columns == {}
    assert offer.classes == ("class 0", "class 1", "class 2")
    assert (offer.guidance, offer.steps, offer.most_num) == (1.5, 3, 8)
    assert offer.solvers[0] == "ddim" and len({*offer.solvers}) == len(offer.solvers)
    assert rows.offer.kind == "rows" and len(rows.offer.columns) == 2


def test_large_samples_are_fewer_and_have_fewer_steps(images, monkeypatch):
    module = "jaxdiff.runs.serve.offer"
    monkeypatch.setattr(f"{module}.MOST_VALUES", 3 * 64)  # of 8x8 images
    monkeypatch.setattr(f"{module}.MOST_TRACED", 2 * 3 * 64 * 2)  # x_t and x0
    offer = make_offer(images.run)
    assert (offer.most_num, offer.num, offer.most_steps, offer.steps) == (3, 3, 2, 2)


def test_a_request_without_fields_is_the_runs_own(images):
    request = parse(images.run, images.offer, [("label", ""), ("seed", "")])
    assert request == images.request()
    assert request[:6] == (0, 4, None, 1.5, 3, "ddim")


def test_a_class_is_given_by_name_or_number(images):
    assert images.request(label="class 1").label == images.request(label="1").label == 1


def test_a_solver_may_have_fields(images):
    assert images.request(solver="ddim(eta=0.5)").solver == "ddim(eta=0.5)"


WRONG = [
    ("seed", "seven", "seed must be a whole number from 0 to 4294967295"),
    ("seed", "-1", "seed must be a whole number from 0"),
    ("seed", "9223372036854775808", "seed must be a whole number"),
    ("seed", "1" * 5000, "seed must be .* got '1{40}...'"),
    ("seed", "٣", "seed must be a whole number"),
    ("num", "0", "num must be a whole number from 1 to 8, got '0'"),
    ("num", "9", "num must be a whole number from 1 to 8"),
    ("steps", "251", "steps must be a whole number from 1 to 250"),
    ("steps", "2.5", "steps must be a whole number"),
    ("guidance", "much", "guidance must be a number from -100 to 100, got 'much'"),
    ("guidance", "nan", "guidance must be a number"),
    ("guidance", "101", "guidance must be a number"),
    ("label", "class 3", "label must be from 0 to 2 or a class's name, got class 3"),
    ("solver", "hein", "solver 'hein' does not suit this run; did you mean 'heun'"),
    ("solver", "os.system(x=1)", "solver 'os.system.*' does not suit this run"),
    ("solver", f"ddim({' ' * 200})", "solver 'ddim"),
    ("fix", "a=1", "only tables have columns"),
    ("sede", "1", "there is no field 'sede'; did you mean 'seed'"),
]


@pytest.mark.parametrize(("name", "text", "message"), WRONG)
def test_a_mistake_names_its_field(images, name, text, message):
    with pytest.raises(BadRequestError, match=message) as caught:
        images.request(**{name: text})
    assert len(str(caught.value)) < 700 and "\n" not in str(caught.value)


def test_a_field_is_given_once(images):
    with pytest.raises(BadRequestError, match="seed is given twice"):
        parse(images.run, images.offer, [("seed", "1"), ("seed", "2")])


@pytest.mark.parametrize("fix", ["nothing=1", "x", "{a}=much"])
def test_columns_are_checked(rows, fix):
    text = fix.format(a=next(iter(rows.offer.columns)))
    with pytest.raises(BadRequestError, match=r"column|COLUMN"):
        rows.request(fix=text)


def test_a_model_without_labels_has_no_guidance(tmp_path):
    config = tiny_config(**SPECK | {"diffusion__label_dropout": 0.0})
    run = untrained(config, tmp_path / "run")
    offer = make_offer(run)
    assert offer.guidance is None and parse(run, offer, []).guidance == 1
    with pytest.raises(BadRequestError, match="guidance needs a model trained with"):
        parse(run, offer, [("guidance", "2")])


def test_what_makes_no_samples_is_refused(tmp_path):
    run = untrained(tiny_config(**CLASSIFIER), tmp_path / "run")
    with pytest.raises(ValueError, match="task='classifier' trains no denoiser"):
        make_offer(run)
