"""Torch's loop over steps, which can compute values again.

Plainly, autograd keeps what every operation of a step has made until the
gradient is taken. Rematerialized, a step runs without it, and what it starts
from is kept alone: the gradient runs the step again, with autograd, and takes
its gradient at once.
"""

from collections.abc import Callable

import keras
import torch

from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor


def scan(
    body: Callable,
    carry: Nest,
    inputs: Nest,
    length: int,
    rematerialize: bool = False,
    outputs: Nest | None = None,
) -> tuple[Nest, Nest]:
    """Runs `carry, output = body(carry, input)` over the first axis.

    By a loop of Python's.

    Args:
        body: The function of one step. Its carry keeps structure, shapes and
            dtypes.
        carry: Nest of tensors.
        inputs: Nest of tensors with a first axis of `length`.
        length: The number of steps.
        rematerialize: Whether the values within a step are not kept for the
            gradient, but computed again. No gradient flows to the inputs then.
            Defaults to `False`.
        outputs: Nest of tensors like an output, which TensorFlow asks for; not
            looked at here. Defaults to `None`.

    Returns:
        The last carry, and the outputs stacked along a new first axis.
    """
    if rematerialize and torch.is_grad_enabled():
        body = _rematerialized(body, carry, row(inputs, 0))
    made = []
    for index in range(length):
        carry, output = body(carry, row(inputs, index))
        made.append(output)
    return carry, keras.tree.map_structure(
        lambda *leaves: torch.stack(leaves), *made
    )


def kept(tensor: Tensor) -> Tensor:
    """A tensor that `scan` keeps for the gradient even if it rematerializes.

    It does not do so here, where all of a step is run again: the tensor itself.
    """
    return tensor


def row(nest: Nest, index: int) -> Nest:
    """A nest of tensors without their first axis: what is at an index."""
    return keras.tree.map_structure(lambda leaf: leaf[index], nest)


def _rematerialized(body, carry, inputs):
    """A body that computes its values again for the gradient.

    A step is run once more than it would be, to find out on what it depends.
    """
    start = [_source(leaf) for leaf in keras.tree.flatten(carry)]
    first = body(keras.tree.pack_sequence_as(carry, start), inputs)
    own = {id(leaf) for leaf in start}
    outside = [x for x in _leaves_of_graph(first) if id(x) not in own]
    # The structure alone: values would keep their graph.
    like = keras.tree.map_structure(lambda leaf: None, first)

    def step(carry, inputs):
        def run(*leaves):
            before = keras.tree.pack_sequence_as(carry, leaves)
            return tuple(keras.tree.flatten(body(before, inputs)))

        leaves = keras.tree.flatten(carry)
        results = _Again.apply(run, len(leaves), *leaves, *outside)
        return keras.tree.pack_sequence_as(like, results)

    return step


def _source(tensor):
    """A tensor of the same values, by which a gradient can be taken."""
    return tensor.detach().requires_grad_(tensor.is_floating_point())


def _leaves_of_graph(nest):
    """The leaves of autograd's graph that tensors were computed from."""
    ahead = [x.grad_fn for x in keras.tree.flatten(nest) if x.requires_grad]
    met, leaves = set(ahead), []
    while ahead:
        node = ahead.pop()
        if hasattr(node, "variable"):
            leaves.append(node.variable)
        for before, _ in node.next_functions:
            if before is not None and before not in met:
                met.add(before)
                ahead.append(before)
    return leaves


class _Again(torch.autograd.Function):
    """Runs a function of tensors, and again when its gradient is taken.

    Its arguments are the function, how many tensors it takes, these, and those
    from outside that it depends on.
    """

    @staticmethod
    def forward(ctx, run, count, *tensors):
        ctx.run, ctx.count = run, count
        ctx.save_for_backward(*tensors)
        return run(*tensors[:count])

    @staticmethod
    def backward(ctx, *cotangents):
        tensors = ctx.saved_tensors
        own = [_source(tensor) for tensor in tensors[: ctx.count]]
        outside = tensors[ctx.count :]
        with torch.enable_grad():
            results = ctx.run(*own)
        known = [
            (result, cotangent)
            for result, cotangent in zip(results, cotangents)
            if result.requires_grad and cotangent is not None
        ]
        sources = [x for x in own if x.requires_grad] + list(outside)
        found = iter(
            torch.autograd.grad(
                [result for result, _ in known],
                sources,
                [cotangent for _, cotangent in known],
                # Of the graph, what is outside of this step is used again.
                retain_graph=True,
                allow_unused=True,
            )
        )
        gradients = [next(found) if x.requires_grad else None for x in own]
        return None, None, *gradients, *found
