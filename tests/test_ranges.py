"""Numbers of a config that are out of range are refused, for every field."""

import math

import pytest

from jaxdiff import ranges, schema

NUMBERS = [
    field
    for field, value in schema.flat(schema.get_config()).items()
    if isinstance(value, int | float) and not isinstance(value, bool)
]


def changed(field, value):
    config = schema.get_config()
    config.update_from_flattened_dict({field: value})
    return config


def test_the_defaults_are_in_range_and_the_table_is_of_fields():
    ranges.check(schema.get_config())
    assert {*ranges.RANGES} <= {*NUMBERS}
    fields = schema.flat(schema.get_config()).items()
    assert {*ranges.ITEMS} == {k for k, v in fields if isinstance(v, tuple)}


@pytest.mark.parametrize("field", ranges.RANGES)
def test_the_ends_are_in_range_and_beyond_them_is_not(field):
    low, high = ranges.RANGES[field]
    kind = type(schema.get_config()[field])
    ranges.check(changed(field, kind(low)))
    with pytest.raises(ValueError, match=rf"{field} must be .*, got {low - 1}"):
        ranges.check(changed(field, kind(low - 1)))
    if high < math.inf:
        ranges.check(changed(field, kind(high)))
        with pytest.raises(ValueError, match=f"{field} must be"):
            ranges.check(changed(field, kind(high + 1)))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", NUMBERS)
def test_no_number_may_be_infinite_or_nan(field, value):
    if isinstance(schema.get_config()[field], float):
        with pytest.raises(ValueError, match=f"{field} must be .*, got -?(nan|inf)"):
            ranges.check(changed(field, value))


def test_an_interval_may_be_open_and_never_nan():
    ranges.check(changed("sampler.interval", (0.0, math.inf)))
    with pytest.raises(ValueError, match=r"sampler\.interval must be a finite"):
        ranges.check(changed("sampler.interval", (0.0, math.nan)))


def test_blocks():
    config = changed("train.num_steps", 0)
    ranges.check(config, "sampler")
    with pytest.raises(ValueError, match=r"train\.num_steps must be at least 1, got 0"):
        ranges.check(config, "train")
