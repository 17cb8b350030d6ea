"""Work that is given to other processes, some of which die."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import keras
import numpy as np
import pandas
import pytest
from typer.testing import CliRunner

import keras_l2o
from keras_l2o import cluster
from keras_l2o import config
from keras_l2o import policies
from keras_l2o import problems
from keras_l2o.config import family
from keras_l2o.evaluation import storage
from keras_l2o.training import checks
from keras_l2o_commands.application import application
from keras_l2o_commands.errors import is_ours
from tests.cluster import pieces

RUN = {"steps": 20, "epoch_steps": 10}


@pytest.fixture(scope="module")
def two():
    with cluster.Cluster(workers=2) as found:
        yield found


def without_seconds(frame):
    return frame.drop(columns="seconds").reset_index(drop=True)


def test_pieces_come_back_by_their_number(two):
    found = dict(two.each(pieces.double, [(k,) for k in range(7)]))
    assert found == {k: 2 * k for k in range(7)}


def test_the_error_of_a_piece_is_that_of_whoever_asked(two):
    with pytest.raises(ValueError, match="no 3 here"):
        list(two.each(pieces.fail, [(3,)]))
    assert dict(two.each(pieces.double, [(1,)])) == {0: 2}


def test_what_the_package_raises_in_a_worker_is_one_line(two):
    with pytest.raises(ValueError, match="tasks=-1") as ours:
        list(two.each(checks.count, [("tasks", -1)]))
    assert is_ours(ours.value)
    with pytest.raises(ValueError, match="no 3 here") as other:
        list(two.each(pieces.fail, [(3,)]))
    assert not is_ours(other.value)


class Mine(policies.SGD):
    """A class that workers do not know."""


def test_an_evaluation_is_the_same_as_without(two, tmp_path):
    for optimizer, custom_objects in (
        ("min-max-compact/1", None),
        (Mine(0.1, name="mine"), {"Mine": Mine}),
    ):
        calls = []
        found, alone = (
            keras_l2o.evaluate(
                optimizer,
                "quadratic_10",
                repeat=3,
                cluster=where,
                directory=where and tmp_path,
                overwrite=True,
                custom_objects=custom_objects,
                on_epoch=lambda *given, calls=calls: calls.append(given[:2]),
                **RUN,
            )
            for where in (two, None)
        )
        pandas.testing.assert_frame_equal(
            without_seconds(found), without_seconds(alone), rtol=1e-5
        )
        expected = [(run, epoch) for run in range(3) for epoch in range(2)]
        assert sorted(calls[:6]) == expected
        stored = storage.read(storage.path_in(tmp_path, "quadratic_10"))
        assert stored.arrays["seeds"].tolist() == [0, 1, 2]


def test_a_problem_of_ones_own_goes_along(two):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
    problem = problems.Problem(model, (x, x[:, :1]), "mse", 4, "mine")
    found, alone = (
        keras_l2o.evaluate("sgd", problem, repeat=2, cluster=where, **RUN)
        for where in (two, None)
    )
    pandas.testing.assert_frame_equal(
        without_seconds(found), without_seconds(alone), rtol=1e-5
    )


def test_searches_and_baselines_are_the_same_as_without(two, tmp_path):
    done = []
    options = {"rules": ["sgd", "adam"], "rates": [0.01, 0.1], "steps": 5}
    found, alone = (
        keras_l2o.evaluation.gridsearch(
            "quadratic_10",
            seeds=(0, 1),
            directory=where and tmp_path,
            on_run=lambda *run: done.append(run),
            cluster=where,
            **options,
        )
        for where in (two, None)
    )
    pandas.testing.assert_frame_equal(found, alone, rtol=1e-5)
    assert sorted(done[:4]) == sorted(done[4:])
    rates = keras_l2o.evaluation.best_rates(found)
    found, alone = (
        keras_l2o.evaluation.baselines(
            "quadratic_10", rates, repeat=2, steps=5, cluster=where
        )
        for where in (two, None)
    )
    pandas.testing.assert_frame_equal(
        without_seconds(found), without_seconds(alone), rtol=1e-5
    )


def test_a_family_is_trained_run_by_run(two, tmp_path):
    configuration = config.resolve(
        ["adam"],
        overrides=[
            ("problems", [{"name": "quadratic_10"}]),
            ("strategy/num_periods", 1),
            ("strategy/episodes", 1),
            ("strategy/unroll", 2),
            ("strategy/depth", 1),
            ("strategy/validation_episodes", 1),
        ],
        strategy="simple",
    )
    folders = family.train_family(configuration, tmp_path, two, runs=2)
    assert folders == [tmp_path / "1", tmp_path / "2"]
    weights = [
        keras_l2o.load(folder / "optimizer").policy.get_weights()
        for folder in folders
    ]
    assert (weights[0][0] != weights[1][0]).any()
    seeds = [
        keras_l2o.strategies.RunDirectory(folder).config()["run"]["seed"]
        for folder in folders
    ]
    assert seeds == [0, 1]


@pytest.fixture
def scheduler(tmp_path):
    """The address of a scheduler, and the processes of its two workers."""
    file = tmp_path / "scheduler.json"

    def start(what, *options):
        return subprocess.Popen(
            [
                sys.executable, "-m", f"distributed.cli.dask_{what}",
                "--scheduler-file", file, "--no-dashboard", *options,
            ],
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    processes = [start("scheduler", "--host", "127.0.0.1", "--port", "0")]
    one = ("--no-nanny", "--nthreads", "1", "--host", "127.0.0.1")
    processes += [start("worker", *one) for _ in range(2)]
    try:
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)

        yield json.loads(file.read_text())["address"], processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_worker_that_is_killed_loses_nothing(scheduler, tmp_path):
    address, workers = scheduler
    folder = tmp_path / "notes"
    folder.mkdir()

    def kill():
        while not (begun := list(folder.glob("2-begun-*"))):
            time.sleep(0.05)
        os.kill(int(begun[0].name.split("-")[2]), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with cluster.Cluster(scheduler=address) as found:
        work = [(str(folder), number, 0.5) for number in range(6)]
        done = [number for number, _ in found.each(pieces.slowly, work)]
        assert sorted(done) == list(range(6))
        killer.join()
        ended = [path.name.split("-")[0] for path in folder.glob("*-ended-*")]
        assert sorted(ended) == [str(number) for number in range(6)]
        again = [path.name for path in folder.glob("2-begun-*")]
        assert len(again) == 2
        # And the worker that is left does what comes.
        frame = keras_l2o.evaluate(
            "adam", "quadratic_10", repeat=2, cluster=found, **RUN
        )
        assert len(frame) == 4
    codes = [worker.poll() for worker in workers]
    assert sorted(codes, key=str) == [-signal.SIGKILL, None]


def test_a_piece_that_kills_its_workers_is_given_up(monkeypatch):
    monkeypatch.setattr(cluster, "LOSSES", 0)
    with cluster.Cluster(workers=1) as one:
        with pytest.raises(cluster.ClusterError, match="workers have died"):
            list(one.each(pieces.die, [(0,)]))


@pytest.mark.quick
def test_where_the_work_is_done_has_to_be_said():
    for arguments in ({}, {"workers": 1, "scheduler": "tcp://127.0.0.1:1"}):
        with pytest.raises(cluster.ClusterError, match="Give one of the"):
            cluster.Cluster(**arguments)
    with pytest.raises(ValueError, match="`workers` must be an integer"):
        cluster.Cluster(workers=0)


def test_an_address_without_a_scheduler_is_named(monkeypatch):
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 1)
    where = cluster.Cluster(scheduler="tcp://127.0.0.1:1")
    with pytest.raises(cluster.ClusterError, match="No scheduler answers at"):
        where.__enter__()


@pytest.mark.quick
@pytest.mark.parametrize("name", cluster.ALIKE)
def test_a_worker_of_another_version_is_refused(name):
    theirs = {**keras_l2o.version.versions(), name: "another"}
    with pytest.raises(cluster.ClusterError, match=f"A worker has {name}"):
        cluster._work(theirs, pieces.double, (1,))


@pytest.mark.quick
def test_a_problem_of_the_catalogue_is_pickled_by_its_name():
    problem = problems.get("digits_mlp", batch_size=32)
    pickled = pickle.dumps(problem)
    assert len(pickled) < 500
    twin = pickle.loads(pickled)
    assert (twin.name, twin.batch_size) == ("digits_mlp", 32)
    assert twin.digest() == problem.digest()
    assert pickle.loads(pickled) is twin


@pytest.mark.quick
def test_runs_are_stored_in_any_order_and_missing_ones_are_made(tmp_path):
    def evaluate(repeat):
        return keras_l2o.evaluate(
            "sgd", "quadratic_10", repeat=repeat, directory=tmp_path, **RUN
        )

    whole = evaluate(3)
    path = storage.path_in(tmp_path, "quadratic_10")
    stored = storage.read(path)
    without = stored._replace(
        arrays={
            key: value[[2, 0]] if key in storage.BY_RUN else value
            for key, value in stored.arrays.items()
        }
    )
    without.write(path)
    assert without.frame()["run"].tolist() == [2, 2, 0, 0]
    pandas.testing.assert_frame_equal(
        without_seconds(evaluate(3)), without_seconds(whole), rtol=1e-5
    )
    assert storage.read(path).arrays["seeds"].tolist() == [0, 1, 2]


def test_the_commands_take_workers(tmp_path):
    common = ["--problem=quadratic_10", f"--directory={tmp_path}"]
    for words in (
        ["evaluate", "--optimizer=adam", "--steps=4", "--repeat=2"],
        ["gridsearch", "--rules=sgd", "--rates=0.1,0.01", "--steps=4"],
        ["baseline", "--rules=sgd,adam", "--steps=4", "--repeat=1"],
    ):
        arguments = [*words, *common, "--workers=1"]
        result = CliRunner().invoke(application, arguments)
        assert result.exit_code == 0, result.output
        assert "stored in" in result.output
    files = {path.name for path in tmp_path.rglob("*.npz")}
    assert files == {"quadratic_10.npz"}
    assert len(list(tmp_path.rglob("*.npz"))) == 5


def test_ctrl_c_ends_the_command_and_its_workers_quietly(tmp_path):
    """It reaches all processes of the terminal's group."""
    command = subprocess.Popen(
        [
            sys.executable, "-m", "keras_l2o_commands", "evaluate",
            "--optimizer=adam", "--problem=quadratic_10", "--repeat=1000",
            "--steps=200", f"--directory={tmp_path}", "--workers=1",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler
        ),
    )  # fmt: skip
    try:
        path = storage.path_in(tmp_path, "quadratic_10")
        deadline = time.monotonic() + 120
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(command.pid, signal.SIGINT)
        _, lines = command.communicate(timeout=60)
    finally:
        command.kill()
    assert command.returncode == 130
    assert "interrupted: finished work is stored in" in lines
    assert "Traceback" not in lines
    assert storage.read(path).runs >= 1
