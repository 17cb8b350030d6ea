import pytest

import keras_l2o
from keras_l2o import policies
from keras_l2o.evaluation import collection
from keras_l2o.evaluation import statistics

pytestmark = pytest.mark.usefixtures("few_steps")


def evaluate(directory, rate=0.1, repeat=2):
    keras_l2o.evaluate(
        policies.SGD(rate), "quadratic_10", repeat=repeat, steps=1,
        directory=directory,
    )  # fmt: skip


def test_families_of_one_name_are_told_apart_by_their_places(tmp_path):
    for place in ("old", "new"):
        for replicate in ("1", "2"):
            evaluate(tmp_path / place / "slow" / replicate)
    evaluate(tmp_path / "new" / "fast" / "1")
    found = collection.collect([tmp_path])
    counts = statistics.figures(found).groupby("optimizer").size()
    assert counts.to_dict() == {
        f"slow in {tmp_path / 'old'}": 4,
        f"slow in {tmp_path / 'new'}": 4,
        "fast": 2,
    }
    only = collection.collect([tmp_path / "old"])
    assert set(only["optimizer"]) == {"slow"}


def test_runs_of_one_rule_in_two_directories_are_told_apart(tmp_path):
    evaluate(tmp_path / "a")
    evaluate(tmp_path / "b")
    found = collection.collect([tmp_path / "a", tmp_path / "b"])
    names = set(found["optimizer"])
    assert len(names) == 2
    assert all(name.startswith("sgd") for name in names)


def test_replicates_in_two_directories_are_one_family(tmp_path):
    evaluate(tmp_path / "old" / "slow" / "1")
    evaluate(tmp_path / "new" / "slow" / "2")
    found = collection.collect([tmp_path])
    assert set(found["optimizer"]) == {"slow"}
    assert set(found["replicate"]) == {1, 2}


def test_paths_that_hold_one_another_are_read_once(tmp_path):
    evaluate(tmp_path / "slow" / "1")
    once = collection.collect([tmp_path])
    twice = collection.collect([tmp_path, tmp_path / "slow" / "1"])
    assert len(once) == len(twice)
    assert set(twice["optimizer"]) == {"slow"}
