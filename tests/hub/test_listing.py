"""The table of bundled optimizers: what each costs, and what it is good at."""

import json
import math

import pytest

import keras_l2o
from keras_l2o import hub
from keras_l2o import policies
from keras_l2o.hub import card_files
from keras_l2o.hub import listing
from keras_l2o.hub import names

pytestmark = pytest.mark.quick

COLUMNS = [
    "name", "family", "student", "state", "cost", "distance", "best_for",
]  # fmt: skip


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Stands in for the place of the bundled folders."""
    root = tmp_path / "pre-trained"
    for name in ("min-max/1", "min-max/2", "min-max/10", "mean/1"):
        save(root / name, policies.Adam(0.1))
    monkeypatch.setattr(names, "roots", lambda: [root])
    monkeypatch.setattr(card_files, "root", lambda: tmp_path / "hub_cards")
    return root


def save(folder, policy, **metadata):
    optimizer = keras_l2o.LearnedOptimizer(policy)
    hub.save(optimizer, folder, metadata=metadata, overwrite=True)


def store(root, family, results):
    """Puts the results of evaluations beside a family's card."""
    folder = root.parent / "hub_cards" / "figures" / family
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(results))


def far(distance):
    return {"runs": 3, "accuracy": 0.5, "log_loss_from_oracle": distance}


def test_available_has_few_columns_and_names_in_order(root):
    save(root / "min-max/2", policies.RNNProp(units=(4,)))
    save(root / "mean/1", policies.General(), figures={"loss": 0.1})
    frame = keras_l2o.available()
    assert list(frame.columns) == COLUMNS
    assert list(frame["name"]) == [
        "mean/1", "min-max/1", "min-max/2", "min-max/10",
    ]  # fmt: skip
    assert list(frame["student"]) == ["General", "Adam", "RNNProp", "Adam"]
    assert list(frame["family"]) == ["mean", *["min-max"] * 3]
    assert list(frame["state"]) == [4.0, 2.0, 10.0, 2.0]
    assert list(frame["cost"] > 1.0) == [True, False, True, False]
    assert list(frame["best_for"]) == ["known lengths", "", "", ""]
    assert frame["distance"].isna().all()


def test_all_figures_follow_when_they_are_asked_for(root):
    save(
        root / "min-max/2", policies.Adam(0.1),
        figures={"loss": 0.1, "fmnist": {"a": 2}},
    )  # fmt: skip
    store(root, "min-max", {"10": {"digits": {"runs": 3}}})
    frame = keras_l2o.available(figures=True)
    assert list(frame.columns) == [
        *COLUMNS, "replicate", "multiplications", "loss", "fmnist.a",
        "digits.runs",
    ]  # fmt: skip
    frame = frame.set_index("name")
    assert frame.loc["min-max/2", ["loss", "fmnist.a"]].tolist() == [0.1, 2]
    assert frame["replicate"].tolist() == [1, 1, 2, 10]
    assert frame["digits.runs"].fillna(0).tolist() == [0, 0, 0, 3]


def test_a_measured_figure_replaces_no_column(root):
    save(root / "mean/1", policies.Adam(0.1), figures={"name": 7, "cost": 0})
    row = keras_l2o.available(figures=True).iloc[0]
    assert (row["name"], row["cost"]) == ("mean/1", 1.0)


def test_distance_and_rank_are_of_problems_with_images(root):
    function = {"runs": 3, "log_loss_from_oracle": -9.0}
    store(
        root,
        "min-max",
        {
            "1": {"a": far(0.2), "b": far(-0.4), "function": function},
            "2": {"a": far(0.1), "b": far(-0.5), "function": function},
            # a run that diverged has no figures
            "10": {"a": {"runs": 3}, "b": far(-0.6)},
            "*": {"a": {"mean": 0.1}},
        },
    )
    frame = keras_l2o.available().set_index("name")
    assert frame.loc["min-max/1", "distance"] == pytest.approx(-0.1)
    assert frame.loc["min-max/2", "distance"] == pytest.approx(-0.2)
    assert math.isnan(frame.loc["min-max/10", "distance"])
    assert frame["best_for"].to_dict() == {
        "mean/1": "",
        "min-max/1": "a (2 of 3)",
        "min-max/2": "a (1 of 3)",
        "min-max/10": "b (1 of 3)",
    }


def test_available_has_its_columns_when_there_is_nothing(monkeypatch):
    monkeypatch.setattr(names, "roots", lambda: [])
    frame = keras_l2o.available()
    assert list(frame.columns) == COLUMNS
    assert frame.empty


def test_the_rows_need_no_pandas_and_the_recommended_one_is_there():
    rows = listing.choices()
    assert {names.RECOMMENDED, "min-max"} <= {row["family"] for row in rows}
    assert all(list(row) == COLUMNS for row in rows)
