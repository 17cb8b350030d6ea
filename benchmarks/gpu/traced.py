"""A function of nests of tensors, compiled by torch for each of their shapes.

`torch.compile` alone stops at every few operations of Keras's and starts
again. So the function runs once on recorded tensors, without Python's part,
and what was recorded is compiled.
"""

import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree


class Traced:
    """The function, with the same arguments and results.

    Args:
        function: Takes and returns nests of tensors. All else in its arguments
            is a constant of what is compiled.
    """

    def __init__(self, function):
        self.function = function
        self.programs = {}

    def __call__(self, *arguments):
        leaves, structure = pytree.tree_flatten(arguments)
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        key = tuple(
            (tuple(leaf.shape), leaf.dtype)
            if isinstance(leaf, torch.Tensor)
            else repr(leaf)
            for leaf in leaves
        )
        key = (repr(structure), key)
        if key not in self.programs:
            self.programs[key] = self._compile(leaves, structure, tensors)
        program, structure = self.programs[key]
        return pytree.tree_unflatten(program(*tensors), structure)

    def _compile(self, leaves, structure, tensors):
        found = []

        def flat(*tensors):
            left = iter(tensors)
            arguments = pytree.tree_unflatten(
                [
                    next(left) if isinstance(leaf, torch.Tensor) else leaf
                    for leaf in leaves
                ],
                structure,
            )
            results, results_structure = pytree.tree_flatten(
                self.function(*arguments)
            )
            found.append(results_structure)
            return results

        graph = make_fx(flat)(*tensors)
        return torch.compile(graph), found[0]
