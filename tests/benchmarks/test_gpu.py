"""What is measured on a graphics card, with tiny models on any device."""

import json
import sys

import keras
import pytest

from benchmarks.gpu import kernels
from benchmarks.gpu import models

pytestmark = pytest.mark.backend
BACKEND = keras.backend.backend()
NANO = models.Transformer(1, 4, 1, 8, 4, 1)


def figures(monkeypatch, folder, part, *arguments):
    """Runs a part's `main`; its figures, a dict."""
    monkeypatch.setattr(
        sys,
        "argv",
        ["part", *arguments, "--rounds", "1", "--output", str(folder)],
    )
    part.main()
    text = (folder / "figures.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert {line["backend"] for line in lines} == {BACKEND}
    return {line["name"]: line["value"] for line in lines}


def test_shapes_without_a_model_are_the_models():
    model = models.gpt(models.GPTS["tiny"])
    shapes = [tuple(weight.shape) for weight in model.trainable_variables]
    assert sorted(models.gpt_shapes(models.GPTS["tiny"])) == sorted(shapes)
    model = models.vit(NANO._replace(length=2))
    assert model.output_shape == (1, 8)


def test_kernels_of_a_loop_count_as_often_as_it_goes():
    text = """HloModule made

%inside (p: f32[]) -> f32[] {
  %p = f32[] parameter(0)
  ROOT %n = f32[] negate(f32[] %p)
}

%body (q: (s32[], f32[])) -> (s32[], f32[]) {
  %q = (s32[], f32[]) parameter(0)
  %f.1 = f32[] fusion(%q), kind=kLoop, calls=%inside
  ROOT %t = (s32[], f32[]) tuple(%q, %f.1)
}

%condition (r: (s32[], f32[])) -> pred[] {
  %r = (s32[], f32[]) parameter(0)
  ROOT %c = pred[] compare(%r, %r), direction=LT
}

ENTRY %main (a: f32[4]) -> (s32[], f32[]) {
  %a = f32[4]{0} parameter(0)
  %f.2 = (s32[], f32[]) fusion(%a), kind=kLoop, calls=%inside
  ROOT %w = (s32[], f32[]) while(%f.2), condition=%condition, body=%body, \
backend_config={"known_trip_count":{"n":"3"}}
}
"""
    assert kernels.kernels(text) == {"fusion": 4, "compare": 3}


@pytest.mark.skipif(BACKEND == "tensorflow", reason="not measured there")
def test_updates_and_whole_steps_are_measured(monkeypatch, tmp_path):
    from benchmarks.gpu import updates
    from benchmarks.gpu import whole_step

    monkeypatch.setitem(models.GPTS, "nano", NANO)
    form = "compiled" if BACKEND == "jax" else "eager"
    names = ["--rules", "adam", "feature_mlp"]
    found = figures(
        monkeypatch, tmp_path, updates, "--sizes", "nano", *names,
        "--forms", form, "--copied", "64",
    )  # fmt: skip
    assert found["parameters_nano"] == 300
    # Parameter and four numbers of state, beside three and two of Adam's.
    least = found[f"feature_mlp_nano_{form}_floor_milliseconds"]
    assert least > 1.3 * found[f"adam_nano_{form}_floor_milliseconds"]
    assert found[f"feature_mlp_nano_{form}_over_adam"] > 0.0

    found = figures(
        monkeypatch, tmp_path, whole_step, "gpt", "--size", "nano", *names
    )
    assert found["gpt_feature_mlp_over_adam"] > 0.0
