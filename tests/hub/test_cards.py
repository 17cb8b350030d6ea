"""Cards say what the files say, and keep what people wrote."""

import json
import re

import huggingface_hub
import keras
import pytest
from typer.testing import CliRunner

import keras_l2o
from keras_l2o import hub
from keras_l2o.hub import card_files
from keras_l2o.hub import cards
from keras_l2o.hub import names

PNG = b"\x89PNG\r\n\x1a\n"


def test_the_cards_that_are_shipped_agree_with_the_files():
    assert card_files.stale() == []


def test_a_card_holds_figures_metadata_digests_and_a_snippet(root, hub_cards):
    text = card_files.write("min-max").read_text()
    assert 'keras_l2o.from_hub("min-max")' in text
    assert "| figure | 1 | 2 |" in text
    assert "| val_log_loss | -1.5 | -2 |" in text
    assert "| digits.log_loss | -0.75 | -1 |" in text
    assert "| teachers | adam 0.01, rmsprop 0.003 |" in text
    digest = keras_l2o.load(root / "min-max/2").source.split(":")[1]
    assert f"| min-max/2 | {digest} |" in text
    assert "mean/1" not in text


def test_the_hubs_client_reads_the_results_back(root):
    results = {
        "1": {"conv_wide": {"runs": 3, "accuracy": 0.8, "log_train_loss": 1}},
        "2": {"conv_wide": {"runs": 3, "accuracy": 0.9}, "bowl": {"runs": 3}},
        "datasets": {"conv_wide": "fashion_mnist"},
    }
    text = card_files.write("min-max", results).read_text()
    data = huggingface_hub.ModelCard(text).data
    assert data.library_name == "keras"
    assert data.license == "mit"
    assert {"learned-optimizer", "min-max"} <= set(data.tags)
    assert data.datasets == ["zalando-datasets/fashion_mnist"]
    (result,) = data.eval_results
    assert result.task_type == "image-classification"
    assert result.dataset_type == "zalando-datasets/fashion_mnist"
    assert result.dataset_name == "Fashion-MNIST"
    assert result.metric_type == "accuracy"
    assert result.metric_name == "conv_wide: accuracy, mean of 2 replicates"
    assert result.metric_value == 0.85
    # What is of no data set that the Hub knows stands in the table alone.
    assert "| bowl.runs |  | 3 |" in text
    with pytest.raises(hub.HubError, match="names by problem"):
        card_files.write("min-max", {"datasets": {"conv_wide": 1}})


def test_a_problem_may_be_called_as_its_data_set_is(root):
    save(root / "mean/1", {"figures": {"mnist": {"accuracy": 0.5}}})
    data = huggingface_hub.ModelCard(card_files.card("mean")).data
    (result,) = data.eval_results
    assert (result.dataset_type, result.metric_value) == ("ylecun/mnist", 0.5)
    assert result.metric_name == "mnist: accuracy"


def test_the_cards_that_are_shipped_have_little_metadata():
    for family in card_files.families():
        _, head, body = card_files.card(family).split("---\n", 2)
        assert len(head.splitlines()) <= 150
        assert f'from_hub("{names.RECOMMENDED}")' in body


def snippet(card):
    return re.search(r"^```python\n(.*?)^```$", card, re.M | re.S)[1]


@pytest.mark.parametrize("name", ["min-max-compact", "mean/1"])
def test_the_snippet_of_a_card_runs(name):
    text = snippet(card_files.card(name))
    assert f'from_hub("{name}")' in text
    space = {}
    exec(text.replace("epochs=5", "epochs=1, verbose=0"), space)
    assert space["model"].optimizer.source.startswith(name)
    assert int(space["model"].optimizer.iterations) > 0


def test_a_replicate_alone_has_a_card_of_its_own(root, hub_cards):
    results = {
        "1": {"conv_train": {"runs": 3, "log_loss_from_oracle": -0.25}},
        "2": {"conv_train": {"runs": 3, "log_loss_from_oracle": 0.125}},
        "*": {"conv_train": {"mean": 0.5, "low": 0, "high": 1, "median": -1}},
    }
    path = card_files.write("min-max", results)
    mark = "<!-- written: min-max -->\n"
    path.write_text(path.read_text().replace(mark, f"{mark}All of it."))
    (hub_cards / "figures/min-max/losses.png").write_bytes(PNG)
    text = card_files.card("min-max/2")
    assert text.split("---\n", 2)[2].startswith("\n# min-max/2\n")
    assert 'from_hub("min-max/2")' in text
    assert "This is `min-max/2`, one replicate of a family." in text
    assert "All of it." in text
    assert "| conv_train | +0.125 |" in text
    assert "It is ahead of it on: none. It is\nbehind on: conv_train." in text
    assert "| val_log_loss | -2 |" in text
    for of_others in ("-1.5", "-0.250", "0.500", "losses.png", "min-max/1"):
        assert of_others not in text
    whole = card_files.card("min-max")
    assert "| conv_train | +0.500 (+0.000, +1.000) | -1.000 |" in whole
    assert "losses.png" in whole
    assert "one replicate" not in whole
    with pytest.raises(hub.UnknownName, match="'min-max/3'"):
        card_files.card("min-max/3")


def test_what_is_written_by_hand_stays(root, hub_cards):
    path = card_files.write("min-max")
    mark = "<!-- written: min-max -->\n"
    text = path.read_text()
    assert mark in text
    path.write_text(text.replace(mark, f"{mark}Fine on digits.\n\n- as $x$\n"))
    save(root / "min-max/1", {"figures": {"val_log_loss": -9.0}})
    assert card_files.stale() == ["mean", "min-max"]
    new = card_files.write("min-max").read_text()
    assert f"{mark}Fine on digits.\n\n- as $x$\n<!-- end written -->" in new
    assert "-9" in new
    assert card_files.write("min-max").read_text() == new
    card_files.write("mean")
    assert card_files.stale() == []


def save(folder, metadata, rate=0.1):
    optimizer = keras_l2o.LearnedOptimizer(keras_l2o.policies.Adam(rate))
    keras_l2o.save(optimizer, folder, metadata, overwrite=True)


def test_a_card_that_is_edited_elsewhere_is_out_of_date(root):
    for family in ("mean", "min-max"):
        path = card_files.write(family)
    assert card_files.stale() == []
    path.write_text(path.read_text().replace("-1.5", "-2.5"))
    assert card_files.stale() == ["min-max"]


def test_a_folder_that_changes_makes_its_card_out_of_date(root):
    for family in ("mean", "min-max"):
        card_files.write(family)
    save(root / "mean/1", None, rate=0.2)
    assert card_files.stale() == ["mean"]


def test_results_and_plots_go_into_the_card(root, hub_cards):
    results = {"2": {"conv_train": {"runs": 10, "accuracy": 0.97}}}
    card_files.write("min-max", results)
    (hub_cards / "figures/min-max/loss.png").write_bytes(PNG)
    text = card_files.write("min-max").read_text()
    assert "| conv_train.accuracy |  | 0.97 |" in text
    assert "](figures/min-max/loss.png)" in text
    with pytest.raises(hub.HubError, match="numbers"):
        card_files.write("min-max", {"2": {"conv_train": {"accuracy": "x"}}})


def test_a_card_says_how_far_the_family_is_from_the_best_rule(root):
    numbers = {"mean": -0.04, "low": -0.06, "high": -0.02}
    numbers |= {"median": -0.03, "best": -0.05}
    results = {
        "2": {"conv_train": {"runs": 3}},
        "*": {"conv_train": numbers, "quadratic_20": {**numbers, "median": 7}},
    }
    text = card_files.write("min-max", results).read_text()
    assert (
        "| conv_train | -0.040 (-0.060, -0.020) | -0.030 | -0.050 | diverged |"
        in text
    )
    assert "ahead of it on: conv_train. It is\nbehind on: quadratic_20." in text
    assert "conv_train.mean" not in text
    assert "Beside the best analytic rule" not in card_files.card("mean")


def test_metadata_are_no_markup(root):
    text = card_files.card("min-max")
    assert "train &#124; &#60;b&#62;" in text
    save(
        root / "min-max/1",
        {
            "seed": "<!-- written: min-max -->\nx\n<!-- end written -->",
            "command": "`a` | [b](c)\n## d",
            "figures": {"<!-- x": 1, "a\nb|c": 2, "text": "<b>", "yes": True},
        },
    )
    text = card_files.card("min-max")
    assert cards.written(text) == {"min-max": ""}
    assert "| a_b_c | 2 |" in text
    assert "<b>" not in text
    assert "\n## d" not in text


def test_optimizers_without_figures_have_a_card(root):
    save(root / "mean/1", None)
    text = card_files.card("mean")
    assert "Results" not in text
    assert huggingface_hub.ModelCard(text).data.eval_results is None


def test_what_all_replicates_share_is_told_once(root):
    save(root / "min-max/1", {"seed": 0, "command": "train", "strategy": None})
    save(root / "min-max/2", {"seed": 1, "command": "train", "strategy": None})
    text = card_files.card("min-max")
    assert "|  | all |\n| --- | --- |\n| command | train |\n" in text
    assert "|  | 1 | 2 |\n| --- | --- | --- |\n| seed | 0 | 1 |\n" in text
    assert "strategy" not in text


def test_an_object_of_keras_is_told_by_its_class_and_settings(root):
    rule = keras_l2o.policies.Adam(0.02, name="mine")
    teachers = {
        "adam": keras.saving.serialize_keras_object(rule),
        "pool": {"class_name": "Choice", "config": {"pool": [1, None]}},
    }
    save(root / "mean/1", {"teachers": teachers})
    text = card_files.card("mean")
    assert "| teachers | adam Adam(learning_rate 0.02, beta_1 0.9, " in text
    assert "pool Choice(pool 1, None) |" in text
    assert "mine" not in text


def test_an_unknown_family_is_named(root):
    with pytest.raises(hub.UnknownName, match="There are: mean, min-max"):
        card_files.card("median")


def test_a_seal_breaks_with_any_edit():
    text = cards.seal("# A card\n")
    assert cards.is_unedited(text)
    for edited in (
        text.replace("card", "cards", 1),
        text + "\n",
        "x" + text,
        text.replace("sha256 ", "sha256 0"),
        "# A card\n",
        "",
        cards.seal(text).replace("# A card", "# B card"),
    ):
        assert not cards.is_unedited(edited)


def run(*arguments):
    from keras_l2o.cli import application

    return CliRunner().invoke(application, arguments)


def test_the_command_writes_every_card_and_checks_them(root, hub_cards):
    result = run("card", "--check")
    assert "Out of date: mean, min-max" in str(result.exception)
    assert run("card").exit_code == 0
    assert {path.stem for path in hub_cards.glob("*.md")} == {
        "template",
        "mean",
        "min-max",
    }
    assert "every card" in run("card", "--check").output


def test_the_command_prints_the_card_of_a_replicate(root, hub_cards):
    result = run("card", "min-max/2")
    assert result.output == card_files.card("min-max/2")
    assert [path.name for path in hub_cards.glob("*.md")] == ["template.md"]
    result = run("card", "min-max/2", "--evaluations", "results")
    assert "belongs to a whole family" in str(result.exception)


def test_the_command_takes_stored_evaluations(root, hub_cards, tmp_path):
    evaluation = pytest.importorskip("keras_l2o.evaluation.collection")
    from keras_l2o.evaluation import evaluate

    assert evaluation
    directory = tmp_path / "results/min-max/2"
    evaluate(
        keras_l2o.from_hub("min-max/2"),
        "quadratic_10",
        repeat=2,
        steps=20,
        directory=directory,
    )
    result = run("card", "min-max", "--evaluations", str(directory.parent))
    assert result.exit_code == 0, result.exception
    stored = json.loads(
        (hub_cards / "figures/min-max/results.json").read_text()
    )
    assert stored["2"]["quadratic_10"]["runs"] == 2
    text = (hub_cards / "min-max.md").read_text()
    assert "quadratic_10.log_validation_loss" in text
    assert "](figures/min-max/losses.png)" in text
