import os

import keras
import pandas
import pytest

import keras_l2o
from keras_l2o import evaluation
from keras_l2o.evaluation import rules
from keras_l2o.evaluation import storage
from keras_l2o.files import whole
from keras_l2o.files.lock import Locked

OPTIONS = dict(problem="digits_mlp", examples=64, batch_size=32, epochs=1)


def evaluate(directory, repeat):
    return keras_l2o.evaluate(
        keras.optimizers.SGD(0.1),
        **OPTIONS,
        repeat=repeat,
        directory=directory,
    )


def test_a_stored_evaluation_is_one_processs_at_a_time(tmp_path):
    path = storage.path_in(tmp_path, "digits_mlp")
    with storage.hold(path):
        with pytest.raises(Locked, match=r"digits_mlp\.npz is in use by"):
            evaluate(tmp_path, 1)
    evaluate(tmp_path, 1)
    evaluate(tmp_path, 2)
    assert evaluation.read(path).runs == 2


def test_only_an_evaluations_own_scratch_is_cleared_away(tmp_path):
    path = storage.path_in(tmp_path, "digits_mlp")
    path.parent.mkdir()
    mine = whole.scratch(path)
    others = [whole.scratch(path.with_name("x.npz")), path.with_name(".env")]
    for each in (mine, *others):
        each.touch()
    evaluate(tmp_path, 1)
    assert sorted(os.listdir(path.parent)) == sorted(
        [path.name, *(other.name for other in others)]
    )


def test_the_same_evaluation_is_read_where_nobody_may_write(
    tmp_path, monkeypatch
):
    evaluate(tmp_path, 1)

    def refuse(*arguments, **options):
        raise PermissionError

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    assert len(evaluate(tmp_path, 1)) == 1


def test_what_was_stored_by_name_alone_has_rule_and_rate(tmp_path):
    path = storage.path_in(tmp_path, "digits_mlp")
    frame = evaluation.baselines("digits_mlp", {"sgd": 0.1}, repeat=1, **{
        key: value for key, value in OPTIONS.items() if key != "problem"
    }, directory=tmp_path)  # fmt: skip
    path = storage.path_in(tmp_path / "baselines" / "sgd-0.1", "digits_mlp")
    stored = evaluation.read(path)
    assert (stored.settings["rule"], stored.settings["rate"]) == ("sgd", 0.1)
    for key in ("rule", "rate"):
        del stored.settings[key]
    stored.write(path)
    pandas.testing.assert_frame_equal(evaluation.read(path).frame(), frame)


@pytest.mark.parametrize("name", ["adam", "adam fast", "mine 0.1", ""])
def test_other_names_say_no_rate(name):
    assert rules.named(name) == (None, None)


def test_an_optimizer_that_is_no_rule_has_neither_column(tmp_path):
    frame = evaluate(tmp_path, 1)
    assert not {"rule", "rate"} & set(frame)
    assert list(keras_l2o.evaluate("sgd", **OPTIONS, repeat=1)["rate"]) == [0.2]
