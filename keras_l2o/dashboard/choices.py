"""What an optimizer costs, for those that the page lists."""

import functools
import pathlib
from typing import Any

import keras
import numpy as np

from keras_l2o import hub
from keras_l2o.errors import UserError
from keras_l2o.evaluation import rules
from keras_l2o.hub import costs
from keras_l2o.hub import listing

#: What the page calls rules of Keras's, where Keras has another name.
_OF_KERAS = {"schedule_free": "schedulefreeadamw"}


class Choices:
    """Students and costs by the names of optimizers; each is told once.

    Building a policy to count what it keeps takes a moment, and the same is
    asked whenever the page has new data.
    """

    def __init__(self) -> None:
        self._of_folders: dict[tuple[str, int], dict[str, Any]] = {}

    def of(
        self, name: str, family: str, kind: str, folder: pathlib.Path | None
    ) -> dict[str, Any]:
        """What is known of an optimizer.

        Args:
            name: String, as `names.Name` has it.
            family: String, likewise.
            kind: String, likewise.
            folder: Path of the folder that may hold the optimizer, or `None`.

        Returns:
            Dict of `student`, the class of its policy or `""`; `state`, the
            numbers that are kept for each parameter; and `cost`, the
            arithmetic of a training step over that with Adam. `None` if it is
            not known.
        """
        if kind != "learned":
            return _of_rule(family)
        own = folder and self._of_folder(folder)
        return own or _bundled().get(name) or _entry("", None, None)

    def _of_folder(self, folder):
        try:
            key = str(folder), (folder / "config.json").stat().st_mtime_ns
        except OSError:
            return None
        if key not in self._of_folders:
            try:
                policy = hub.load(folder).policy
                found = _of_policy(type(policy).__name__, policy)
            except (UserError, OSError, ValueError, TypeError):
                return None  # with a class of one's own, or being replaced
            self._of_folders[key] = found
        return self._of_folders[key]


def _entry(student, state, cost):
    return {"student": student, "state": state, "cost": cost}


def _of_policy(student, policy):
    found = costs.of(policy)
    return _entry(student, found.state, round(found.cost, 3))


@functools.cache
def _bundled():
    return {
        row["name"]: _entry(row["student"], row["state"], round(row["cost"], 3))
        for row in listing.choices()
    }


@functools.cache
def _of_rule(family):
    """Costs of an analytic rule; it has no products of matrices."""
    if family in rules.RULES:
        return _of_policy("", rules.RULES[family]())
    plain = family.removesuffix("_cosine")
    try:
        optimizer = keras.optimizers.get(_OF_KERAS.get(plain, plain))
    except ValueError:
        return _entry("", None, None)
    if plain == "muon":  # its products depend on the tensor's shape
        return _entry("", 1, None)
    layer = keras.Variable(np.zeros((8, 8), "float32"))
    optimizer.build([layer])
    kept = sum(np.prod(v.shape) for v in optimizer.variables if v.shape)
    return _entry("", float(kept) / 64, 1)
