import numpy as np
import pandas
import pytest

from keras_l2o import evaluation
from keras_l2o.evaluation import held_out
from keras_l2o.evaluation import rules
from keras_l2o.evaluation import search

SMALL = {"examples": 64, "batch_size": 32}


def test_the_rates_are_those_of_the_suite():
    assert search.RATES[:4] == (5e-4, 1e-3, 2e-3, 5e-3)
    assert search.RATES[-1] == 1.0
    ratios = np.divide(search.RATES[1:], search.RATES[:-1])
    assert set(np.round(ratios, 6)) == {2.0, 2.5}
    assert rules.DEEP_RATES["rmsprop"] == 5e-4


@pytest.mark.usefixtures("few_steps")
def test_the_search_finds_the_rate_that_learns(tmp_path):
    tried = []
    frame = evaluation.gridsearch(
        "digits_mlp",
        rules=("adam", "sgd"),
        rates=(1e-6, 0.05),
        epochs=2,
        seeds=(0, 1),
        directory=tmp_path,
        on_run=lambda rule, rate: tried.append((rule, rate)),
        **SMALL,
    )
    assert len(frame) == 8
    assert tried == [
        ("adam", 1e-6), ("adam", 0.05), ("sgd", 1e-6), ("sgd", 0.05)
    ]  # fmt: skip
    assert evaluation.best_rates(frame) == {"adam": 0.05, "sgd": 0.05}
    stored = tmp_path / "gridsearch" / "adam-0.05" / "seed-1"
    assert (stored / "evaluations" / "digits_mlp.npz").exists()


@pytest.mark.usefixtures("few_steps")
def test_a_rate_is_judged_by_its_best_epoch_unless_it_diverged(tmp_path):
    def searched():
        return evaluation.gridsearch(
            "digits_mlp", ("adam",), (0.1,), 3, directory=tmp_path, **SMALL
        )

    searched()
    path = tmp_path / "gridsearch/adam-0.1/seed-0/evaluations/digits_mlp.npz"
    stored = evaluation.read(path)
    stored.arrays["validation_loss"][0] = 2.0, 0.5, 1.0
    stored.write(path)
    assert searched()["validation_loss"].tolist() == [0.5]
    stored.arrays["validation_loss"][0, -1] = np.nan
    stored.write(path)
    assert searched()["validation_loss"].isna().all()
    # One rule for all: a batch that is not finite is a divergence, too.
    stored.arrays["validation_loss"][0, -1] = 1.0
    stored.arrays["losses"][0, 3] = np.inf
    stored.write(path)
    assert searched()["validation_loss"].isna().all()
    assert searched()["validation_accuracy"].isna().all()


def test_a_rate_that_diverges_is_never_the_best():
    frame = pandas.DataFrame(
        {
            "rule": ["adam"] * 4,
            "rate": [0.1, 0.1, 0.2, 0.2],
            "validation_loss": [0.5, 0.6, 0.01, np.nan],
        }
    )
    assert evaluation.best_rates(frame) == {"adam": 0.1}
    with pytest.raises(ValueError, match="Every rate"):
        evaluation.best_rates(frame[3:])


@pytest.mark.usefixtures("few_steps")
def test_baselines_run_at_their_rates():
    frame = evaluation.baselines(
        "digits_mlp", {"sgd": 0.1, "adam": 0.01}, repeat=1, epochs=1, **SMALL
    )
    assert frame["optimizer"].tolist() == ["sgd 0.1", "adam 0.01"]
    assert frame["rule"].tolist() == ["sgd", "adam"]
    assert frame["rate"].tolist() == [0.1, 0.01]


def test_a_rate_is_known_to_its_last_digit(tmp_path):
    rate = 0.0123456789
    frame = evaluation.gridsearch(
        "digits_mlp", ("adam",), (rate,), 1, directory=tmp_path, **SMALL
    )
    assert evaluation.best_rates(frame) == {"adam": rate}
    runs = evaluation.baselines(
        "digits_mlp", {"adam": rate}, directory=tmp_path, repeat=1, epochs=1,
        **SMALL,
    )  # fmt: skip
    assert evaluation.oracle(runs) == ("adam", rate)
    assert held_out.table(tmp_path, "digits_mlp")["tuned"].all()


def test_the_oracle_is_the_rule_whose_baselines_are_best():
    def runs(rule, rate, *losses):
        return pandas.DataFrame(
            {
                "rule": rule,
                "rate": rate,
                "run": range(len(losses)),
                "seed": range(len(losses)),
                "epoch": 1,
                "train_loss": 1.0,
                "validation_loss": losses,
                "validation_accuracy": 0.5,
            }
        )

    frame = pandas.concat(
        [
            runs("adam", 0.1, 0.5, 0.3),
            runs("sgd", 0.2, 0.1, np.inf),
            runs("momentum", 0.5, 0.39, 0.38),
        ]
    )
    assert evaluation.oracle(frame) == ("momentum", 0.5)
    assert evaluation.oracle(frame, ["adam", "sgd"]) == ("adam", 0.1)
    with pytest.raises(ValueError, match="`pool` must"):
        evaluation.oracle(frame, ["lion"])
    with pytest.raises(ValueError, match="run that diverged"):
        evaluation.oracle(frame, ["sgd"])


def test_an_unknown_rule_is_named_before_anything_runs():
    with pytest.raises(ValueError, match="Did you mean 'adam'"):
        evaluation.baselines("digits_mlp", {"adm": 0.1})


def test_functions_are_searched_for_as_long_as_they_run():
    frame = evaluation.gridsearch(
        "quadratic_10", ("sgd",), rates=(1e-4, 1e-2, 1e6), steps=20
    )
    assert evaluation.best_rates(frame) == {"sgd": 0.01}
    # Without a length it is the problem's own.
    whole = evaluation.gridsearch("quadratic_10", ("sgd",), rates=(1e-2,))
    assert whole["train_loss"][0] < frame["train_loss"].min()
