import json
import math

import keras
import pytest

from keras_l2o.strategies import Schedule

pytestmark = pytest.mark.quick


def test_a_number_holds_throughout():
    assert [Schedule(3, int)(index) for index in range(3)] == [3, 3, 3]


def test_a_lists_last_entry_stays():
    schedule = Schedule([1, 2, 5], int)
    assert [schedule(index) for index in range(5)] == [1, 2, 5, 5, 5]


def test_geometric_and_exponential_are_what_they_say():
    geometric = Schedule({"geometric": {"start": 2.0, "ratio": 0.5}})
    assert [geometric(index) for index in range(3)] == [2.0, 1.0, 0.5]
    exponential = Schedule({"exponential": {"start": 2.0, "rate": -1.0}})
    assert exponential(3) == pytest.approx(2.0 * math.exp(-3.0))


def test_an_integer_schedule_rounds():
    schedule = Schedule({"geometric": {"start": 1, "ratio": 1.6}}, int)
    assert [schedule(index) for index in range(4)] == [1, 2, 3, 4]


def test_a_keras_schedule_gives_its_values_and_goes_through_json():
    cosine = keras.optimizers.schedules.CosineDecay(1.0, 10)
    schedule = Schedule(cosine)
    assert schedule(5) == pytest.approx(0.5, abs=1e-6)
    twin = Schedule(json.loads(json.dumps(schedule.config())))
    assert twin(5) == schedule(5)


@pytest.mark.parametrize(
    "value",
    [
        "0.1", None, True, [], [1, "2"], {"geometric": 1.0},
        {"geometric": {"start": 1.0}}, {"linear": {"start": 1.0, "rate": 1.0}},
    ],
)  # fmt: skip
def test_what_is_no_schedule_raises_and_is_not_returned(value):
    with pytest.raises(ValueError, match="Argument `depth` must be one of"):
        Schedule(value, name="depth")


def test_a_value_out_of_range_raises():
    with pytest.raises(ValueError, match="at least 1 throughout"):
        Schedule([2, 0], int, 1, name="depth")
    shrinking = {"geometric": {"start": 2.0, "ratio": 0.1}}
    with pytest.raises(ValueError, match="which is 0 at index 1"):
        Schedule(shrinking, int, 1, name="depth")(1)
