"""Functions of tensors that torch records and compiles.

`torch.compile` alone stops at every few operations of Keras's and starts
again. So a function runs once on recorded tensors, without Python's part, and
what was recorded is compiled.
"""

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from keras_l2o.typing import Nest

_traced = threading.local()


def traced(function: Callable[..., Nest]) -> Callable[..., Nest]:
    """The function, compiled by `torch.compile` for each of the shapes.

    No derivative can be taken of it.

    Args:
        function: Maps nests of tensors to a nest of tensors. What it reads
            besides is a constant of what is compiled, and so is all in its
            arguments that is no tensor.

    Raises:
        ValueError: At a call: Python reads a tensor's value.
    """
    programs: dict[tuple, tuple] = {}

    def called(*arguments):
        leaves, structure = pytree.tree_flatten(arguments)
        key = (structure, *map(_kind, leaves))
        if key not in programs:
            programs[key] = _compiled(function, leaves, structure)
        program, structure = programs[key]
        results = program(*filter(torch.is_tensor, leaves))
        return pytree.tree_unflatten(results, structure)

    return called


def is_tracing() -> bool:
    """Whether what runs is being recorded for a compiler."""
    return torch.compiler.is_compiling() or getattr(_traced, "now", False)


def _kind(leaf):
    if torch.is_tensor(leaf):
        return tuple(leaf.shape), leaf.dtype, leaf.device
    return repr(leaf)


def _compiled(function, leaves, structure):
    """A program for leaves like these, and the structure of its results."""
    found: list[Any] = []

    def flat(*tensors):
        given = iter(tensors)
        arguments = pytree.tree_unflatten(
            [next(given) if torch.is_tensor(x) else x for x in leaves],
            structure,
        )
        results, of_results = pytree.tree_flatten(function(*arguments))
        found.append(of_results)
        return results

    _traced.now = True
    try:
        graph = make_fx(flat)(*filter(torch.is_tensor, leaves))
    except RuntimeError as error:
        if "_local_scalar_dense" not in str(error):
            raise
        raise ValueError(
            "With `torch_compile=True` a policy must leave tensors' values to "
            "`keras.ops`, such as `where`. This one reads one in Python, for "
            "instance by `if` or `float`."
        ) from error
    finally:
        _traced.now = False
    return torch.compile(graph), found[0]
