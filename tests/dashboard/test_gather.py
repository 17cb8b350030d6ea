"""What the page shows, gathered from folders."""

import json
import pathlib

import pytest

from keras_l2o import dashboard
from keras_l2o.dashboard import names
from keras_l2o.dashboard import site
from tests.building import ROOT
from tests.dashboard import stored


@pytest.fixture
def results(tmp_path):
    return stored.everything(tmp_path / "results")


def found(data, name, problem="mlp_train", kind=None):
    (own,) = (
        e
        for e in data["evaluations"]
        if data["optimizers"][e["optimizer"]]["name"] == name
        and data["groups"][e["group"]]["problem"] == problem
        and kind in (None, data["optimizers"][e["optimizer"]]["kind"])
    )
    return own


def test_everything_below_a_folder_is_found(results):
    data = dashboard.Gatherer([results]).data()
    listed = {(o["name"], o["family"], o["kind"]) for o in data["optimizers"]}
    assert listed == {
        ("wide/1", "wide", "learned"),
        ("wide/2", "wide", "learned"),
        ("narrow/1", "narrow", "learned"),
        ("broken/1", "broken", "learned"),
        ("adam 0.01", "adam", "rule"),
        ("adam 0.01", "adam", "search"),
        ("adam 0.1", "adam", "search"),
    }
    assert data["sets"] == ["results"]
    assert len(data["groups"]) == 2
    assert len(data["evaluations"]) == 13
    assert [run["name"] for run in data["runs"]] == ["mine"]
    assert data["faults"] == []


def test_figures_and_curves_are_those_of_the_runs(results):
    data = dashboard.Gatherer([results]).data()
    own = found(data, "wide/1")
    assert own["runs"] == 3
    assert own["diverged"] == 0
    assert own["best"] == own["last"] == pytest.approx(0.2, rel=1e-3)
    assert own["accuracy"] == 0.9
    assert own["ms"] == 5
    median, least, greatest = own["validation"]
    assert median[-1] == pytest.approx(0.2, rel=1e-3)
    assert least[-1] == pytest.approx(0.18, rel=1e-3)
    assert greatest[-1] == pytest.approx(0.22, rel=1e-3)
    group = data["groups"][own["group"]]
    assert group["validation_x"] == [20, 40, 60, 80, 100]
    assert len(group["training_x"]) == len(own["training"][0]) <= 60
    assert "pool" not in own


def test_a_run_that_diverged_has_no_figure_and_is_counted(results):
    own = found(dashboard.Gatherer([results]).data(), "broken/1")
    assert own["best"] is None
    assert own["train"] is None
    assert own["diverged"] == 1
    assert own["validation"][0][-1] is not None  # of the other runs


def test_the_weights_of_a_pool_are_kept_by_member(results):
    pool = found(dashboard.Gatherer([results]).data(), "narrow/1")["pool"]
    assert pool["names"] == ["adam", "rmsprop"]
    assert pool["x"][:2] == [0, 10]
    adam, rmsprop = pool["weights"]
    assert adam[0][0] == pytest.approx(0.2)
    assert rmsprop[0][-1] == pytest.approx(0.2)
    assert pool["layers"] == 4


def test_a_run_of_meta_training_has_its_periods(results):
    stored.run(results / "eight", periods=2, replicates=8)
    one, eight = sorted(
        dashboard.Gatherer([results]).data()["runs"],
        key=lambda run: run["name"],
        reverse=True,
    )
    assert one["student"] == "feature_mlp"
    assert one["periods"] == 3
    assert one["validation"] == [[-1, -2, -3]]
    assert one["teachers"] == ["adam"]
    assert one["teachers_validation"] == [[-2, -2, -2]]
    assert one["best"] == -3
    assert one["seconds"] == 6
    assert one["outer"] == {
        "x": [1, 2, 3, 4, 5, 6], "y": [-1.5, -2.5] * 3,
    }  # fmt: skip
    median, least, greatest = eight["validation"]
    assert (median, least, greatest) == ([2.5, 1.5], [-1, -2], [6, 5])


def test_a_run_without_a_period_is_there_from_its_beginning(tmp_path):
    stored.run(tmp_path / "mine", periods=0)
    (run,) = dashboard.Gatherer([tmp_path]).data()["runs"]
    assert run["periods"] == 0
    assert run["outer"]["x"] == []


def test_students_and_costs_are_told(results):
    stored.evaluation(results / "min-max-compact" / "3", "mlp_train", 0.3)
    data = dashboard.Gatherer([results]).data()
    by_name = {o["name"]: o for o in data["optimizers"]}
    assert by_name["min-max-compact/3"]["student"] == "FeatureMLP"
    assert by_name["min-max-compact/3"]["state"] == 4
    assert by_name["min-max-compact/3"]["cost"] == pytest.approx(1.58, abs=0.01)
    assert by_name["adam 0.1"]["state"] == 2
    assert by_name["adam 0.1"]["cost"] == 1
    assert by_name["wide/1"]["state"] is None
    assert data["recommended"].startswith("general/")


def test_two_of_one_name_are_told_apart_by_their_places(tmp_path):
    for place in ("old", "new"):
        stored.evaluation(tmp_path / place / "mine" / "1", "mlp_train", 0.3)
    data = dashboard.Gatherer([tmp_path]).data()
    assert {e["place"] for e in data["evaluations"]} == {
        "old/mine/1", "new/mine/1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("place", "optimizer", "rule", "expected"),
    [
        ("min-max/3", "x", None, ("min-max/3", "min-max", "learned")),
        ("400/adam/tuned", "x", None, ("adam/tuned", "adam", "rule")),
        ("c/3+open", "general/2+open", None, ("c/3+open", "c", "learned")),
        ("mine", "results/mine", None, ("mine", "mine", "learned")),
        ("baselines/a", "adam 0.1", "adam", ("adam 0.1", "adam", "rule")),
        ("gridsearch/a/0", "adam 0.1", "adam", ("adam 0.1", "adam", "search")),
    ],
)
def test_names_are_told_from_where_evaluations_lie(
    place, optimizer, rule, expected
):
    root = pathlib.Path("results")
    file = root / place / "evaluations" / "mlp_train.npz"
    settings = {"optimizer": optimizer, "rule": rule}
    assert names.named(file, root, settings) == expected


def test_a_directory_that_is_a_replicate_itself_keeps_its_family():
    root = pathlib.Path("results/min-max/3")
    file = root / "evaluations" / "mlp_train.npz"
    settings = {"optimizer": "results/min-max/3"}
    assert names.named(file, root, settings).name == "min-max/3"


def test_a_file_that_is_half_written_keeps_what_was_read_before(results):
    gatherer = dashboard.Gatherer([results])
    before = gatherer.data()
    path = results / "wide" / "1" / "evaluations" / "mlp_train.npz"
    path.write_bytes(path.read_bytes()[:700])
    summary = results / "mine" / "summary.csv"
    summary.write_text(summary.read_text()[:-20])
    after = gatherer.data()
    assert after["evaluations"] == before["evaluations"]
    assert after["runs"] == before["runs"]
    assert len(after["faults"]) == 2
    assert "mlp_train.npz" in after["faults"][0]


def test_a_file_that_is_half_written_from_the_beginning_is_named(results):
    (results / "wide" / "1" / "evaluations" / "mlp_train.npz").write_bytes(b"")
    (results / "mine" / "summary.csv").write_text("stage,per")
    data = dashboard.Gatherer([results]).data()
    assert len(data["evaluations"]) == 12
    assert len(data["faults"]) == 2


def test_what_has_not_changed_is_not_read_again(results, monkeypatch):
    gatherer = dashboard.Gatherer([results])
    before = gatherer.data()
    monkeypatch.setattr(
        dashboard.gather.evaluations, "entry", lambda _: pytest.fail("read")
    )
    assert gatherer.data() == before


def test_new_runs_are_found_and_grow(results):
    gatherer = dashboard.Gatherer([results])
    gatherer.data()
    stored.run(results / "mine", periods=5)
    stored.evaluation(results / "wide" / "3", "mlp_train", 0.3, runs=1)
    data = gatherer.data()
    assert data["runs"][0]["periods"] == 5
    assert found(data, "wide/3")["runs"] == 1


@pytest.mark.quick
def test_a_folder_with_nothing_in_it_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="nothing to show in"):
        dashboard.Gatherer([tmp_path])
    with pytest.raises(ValueError, match="no file or directory"):
        dashboard.Gatherer([tmp_path / "missing"])


def test_the_page_is_written_with_all_that_it_loads(results, tmp_path):
    data = dashboard.Gatherer([results]).data()
    page = dashboard.write(data, tmp_path / "page")
    html = page.read_text("utf-8")
    folder = page.parent
    for name in ("data.js", *site.FILES):
        assert (folder / name).is_file()
        if name.endswith((".js", ".css")):
            assert f'"{name}"' in html
    assert "://" not in html
    text = (folder / "data.js").read_text("utf-8")
    read = text.removeprefix("window.KERAS_L2O_DATA = ").removesuffix(";\n")
    assert json.loads(read) == data
    assert str(tmp_path) not in text
    assert dashboard.write(data, folder) == page  # again, in its place


def test_a_page_of_something_else_is_not_replaced(results, tmp_path):
    (tmp_path / "index.html").write_text("<h1>mine</h1>")
    data = dashboard.Gatherer([results]).data()
    with pytest.raises(ValueError, match="in the way"):
        dashboard.write(data, tmp_path)
    assert not (tmp_path / "data.js").exists()


@pytest.mark.quick
def test_the_page_loads_nothing_from_a_network():
    folder = ROOT / "keras_l2o" / "dashboard" / "page"
    assert {path.name for path in folder.iterdir()} == set(site.FILES)
    for path in folder.iterdir():
        text = path.read_text("utf-8")
        if not path.name.startswith("uPlot"):
            assert "://" not in text, path
            assert len(text.splitlines()) <= 400
    assert "MIT" in (folder / "uPlot.LICENSE").read_text("utf-8")
