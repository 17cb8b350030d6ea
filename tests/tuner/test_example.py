import pathlib
import re
import runpy
import sys

import pytest

EXAMPLE = (
    pathlib.Path(__file__).parents[2] / "examples" / "tune_perturbation.py"
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner.*")
@pytest.mark.usefixtures("few_outer_steps")
def test_the_example_searches_and_uses_what_it_finds(
    tmp_path, monkeypatch, capsys
):
    arguments = [
        f"--output={tmp_path}", "--problem=digits_mlp", "--trials=2",
        "--epochs=1", "--steps=1", "--replicates=1", "--unroll=2",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *arguments])
    outputs = []
    for _ in range(2):  # the second time there is nothing left to search
        runpy.run_path(str(EXAMPLE), run_name="__main__")
        output = capsys.readouterr().out
        outputs.append(output[output.index("zero pert") :])
    assert re.search(r"zero perturbation: -?\d", outputs[0])
    assert re.search(r"accuracy after 5 epochs: [01]\.\d", outputs[0])
    searched = [output.partition("validation")[0] for output in outputs]
    assert searched[0] == searched[1]
