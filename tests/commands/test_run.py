import csv
import json
import random
import signal
import time

import pytest
from typer.testing import CliRunner

import keras_l2o
from keras_l2o import policies
from keras_l2o.cli import application
from keras_l2o.strategies.rows import TIMES

#: What cuts a run of the seed to a length for tests.
SHORT = """
--problems/0/dataset=digits --problems/0/batch_size=16 --policy/units=[3]
--strategy/num_periods=1 --strategy/episodes=1 --strategy/unroll=2
--strategy/depth=1 --strategy/validation_depth=1 --training/tasks=1
--training/validation_tasks=1 --training/parameter_scale_spread=1
""".split()
STAGES = ["--strategy/num_stages=2", "--strategy/num_chances=1"]


def invoke(*arguments):
    return CliRunner().invoke(application, [str(a) for a in arguments])


def succeed(*arguments):
    result = invoke(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def lines(directory):
    with open(directory / "summary.csv") as file:
        return [
            {key: text for key, text in line.items() if key not in TIMES}
            for line in csv.DictReader(file)
        ]


def check_files(directory):
    """Lists what a finished run must leave, and looks for it."""
    assert {path.name for path in directory.iterdir()} == {
        "config.json", "checkpoints", "logs", "evaluations", "optimizer",
        "summary.csv",
    }  # fmt: skip
    rows = lines(directory)
    assert {path.name for path in (directory / "logs").iterdir()} == {
        f"{row['stage']}-{row['period']}-{row['attempt']}.csv" for row in rows
    }
    checkpoints = [path.name for path in (directory / "checkpoints").iterdir()]
    assert f"{rows[-1]['checkpoint']}.weights.h5" in checkpoints
    assert len(checkpoints) <= 2
    assert {path.name for path in (directory / "optimizer").iterdir()} == {
        "config.json", "metadata.json", "policy.weights.h5", "SHA256SUMS",
    }  # fmt: skip
    return rows


@pytest.mark.parametrize("command", ["train", "resume", "package"])
def test_help_shows_an_example(command):
    result = invoke(command, "--help")
    assert result.exit_code == 0
    assert f"Example: keras-l2o {command}" in result.output


def test_min_max_distillation_and_its_package(tmp_path):
    directory = tmp_path / "results" / "rnnprop" / "min-max" / "1"
    output = succeed(
        "train",
        "--presets=conv_train,adam,rmsprop,il_more,log_teachers,log_losses",
        "--strategy=curriculum",
        "--policy=rnnprop",
        f"--directory={directory}",
        *SHORT,
        *STAGES,
    )
    assert "Periods of" in output
    assert "best" in output
    rows = check_files(directory)
    assert [row["stage"] for row in rows][-1] == "1"
    assert {"adam_loss", "rmsprop_furthest"} <= set(rows[0])
    weights = [float(row["imitation_weight"]) for row in rows]
    assert (weights[0], weights[-1]) == (0.2, 0.1)
    optimizer = keras_l2o.load(directory / "optimizer")
    assert isinstance(optimizer.policy, policies.RNNProp)
    assert optimizer.warmup_steps == 2

    # resuming a finished run changes nothing
    before = lines(directory)
    succeed("resume", directory)
    assert lines(directory) == before

    folder = tmp_path / "pre-trained" / "min-max" / "1"
    assert "keras_l2o.load" in succeed("package", directory, folder)
    assert keras_l2o.load(folder).policy.get_weights()
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["command"].startswith("keras-l2o train --presets=conv_tr")
    assert metadata["figures"]["val_log_loss"] == min(
        float(row["validation"]) for row in rows if row["stage"] == "1"
    )


@pytest.mark.usefixtures("few_outer_steps")
def test_choice_distillation_in_two_commands(tmp_path):
    choice = tmp_path / "results" / "less-choice" / "base" / "1"
    succeed(
        "train",
        "--presets=conv_train,cl_fixed",
        "--strategy=repeat",
        "--policy=less_choice",
        f"--directory={choice}",
        *SHORT,
    )
    check_files(choice)
    assert isinstance(
        keras_l2o.load(choice / "optimizer").policy, policies.Choice
    )
    student = tmp_path / "results" / "rnnprop" / "choice2" / "1"
    succeed(
        "train",
        "--presets=conv_train,less_choice,il_more",
        "--strategy=curriculum",
        "--policy=rnnprop",
        f"--directory={student}",
        f"--training/teachers/0/directory={choice}",
        *SHORT,
        *STAGES,
    )
    rows = check_files(student)
    assert "val_less_choice_log_loss" in rows[0]


@pytest.mark.parametrize(
    ("preset", "override"),
    [
        ("fgsm", "step_size=0.01"),
        ("pgd", "steps=2"),
        ("cgd", "magnitude=0.01"),
        ("gaussian", "noise_stddev=0.01"),
        ("gaussian_rel", "noise_stddev=0.01"),
    ],
)
@pytest.mark.usefixtures("few_outer_steps")
def test_stability_aware_distillation(tmp_path, preset, override):
    succeed(
        "train",
        f"--presets=conv_train,adam,{preset}",
        "--strategy=simple",
        f"--directory={tmp_path / preset}",
        f"--policy/perturbation/config/{override}",
        *SHORT,
    )
    check_files(tmp_path / preset)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--presets=conv_tran"], "Did you mean 'conv_train'"),
        (["--polcy=rnnprop"], "Did you mean --policy?"),
        (["--strategy/dept=3"], "'strategy/depth'"),
        (["--presets=less_choice"], "Train it first"),
        (["--presets=conv_train", "--problems/0/dataset=digit"], "'digits'"),
    ],
)
def test_an_error_is_raised_before_anything_is_written(
    tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    result = invoke("train", "--directory=run", *arguments)
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_resume_and_package_want_the_directory_of_a_run(tmp_path):
    for command in (["resume", tmp_path], ["package", tmp_path, tmp_path]):
        result = invoke(*command)
        assert isinstance(result.exception, ValueError)
        assert "no directory of a run" in str(result.exception)


@pytest.mark.timeout(900)  # five processes, one after the other
def test_a_run_killed_at_random_moments_ends_as_an_uninterrupted_one(
    imported, tmp_path
):
    def start(name):
        return imported.start(
            "train",
            "--presets=digits_train,adam,gaussian",
            "--strategy=repeat",
            f"--directory={tmp_path / name}",
            *SHORT,
            "--strategy/num_periods=5",
            "--strategy/repeat_threshold=0.001",
            "--strategy/max_repeat=1",
            "--seed=3",
            eager=True,
        )

    whole = start("whole")
    draw = random.Random(0)
    killed = 0
    for _ in range(3):
        process = start("parts")
        before = _rows(tmp_path / "parts")
        # Into the work: until the first period of this process is done, or
        # its first file there, and then any moment.
        goal = before + draw.choice([0, 1])
        while process.poll() is None and (
            not (tmp_path / "parts" / "config.json").exists()
            or _rows(tmp_path / "parts") < goal
        ):
            time.sleep(0.01)
        time.sleep(draw.uniform(0.0, 1.0))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
    assert killed >= 2
    final = start("parts")
    for process in (whole, final):
        _, errors = process.communicate()
        assert process.returncode == 0, errors[-3000:]
    check_files(tmp_path / "parts")
    assert lines(tmp_path / "parts") == lines(tmp_path / "whole")
    weights = [
        (tmp_path / name / "optimizer" / "policy.weights.h5").read_bytes()
        for name in ("whole", "parts")
    ]
    assert weights[0] == weights[1]


def _rows(directory):
    path = directory / "summary.csv"
    return len(path.read_text().splitlines()) - 1 if path.exists() else 0
