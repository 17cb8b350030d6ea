import os

import keras
import pytest

import keras_l2o
from keras_l2o import evaluation
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
