import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "tune_perturbation.py"


def test_the_example_searches_and_uses_what_it_finds(tmp_path):
    command = [
        sys.executable, str(EXAMPLE), f"--output={tmp_path}",
        "--problem=digits_mlp", "--trials=2", "--epochs=1", "--steps=1",
        "--replicates=1", "--unroll=3",
    ]  # fmt: skip
    outputs = []
    for _ in range(2):  # the second time there is nothing left to search
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=250,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert result.returncode == 0, result.stderr[-3000:]
        outputs.append(result.stdout[result.stdout.index("zero pert") :])
    assert re.search(r"zero perturbation: -?\d", outputs[0])
    assert re.search(r"accuracy after 5 epochs: [01]\.\d", outputs[0])
    searched = [output.partition("validation")[0] for output in outputs]
    assert searched[0] == searched[1]
