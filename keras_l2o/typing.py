"""Names for the types that annotations of the public interface use.

Keras has no types of its own for a checker to read, so a tensor may be
anything here; what its shape and type have to be is in the docstrings.
"""

import os
from typing import Any
from typing import TypeAlias

#: A tensor of the Keras backend in use, a `keras.Variable`, or a NumPy array.
Tensor: TypeAlias = Any

#: Tensors in lists, tuples and dicts, or one alone, as `keras.tree` walks it.
Nest: TypeAlias = Any

#: A `keras.Variable`, or a variable of the Keras backend in use.
Variable: TypeAlias = Any

#: The path of a file or a folder.
Path: TypeAlias = str | os.PathLike[str]

#: What `get_config` returns: JSON holds it.
Config: TypeAlias = dict[str, Any]

__all__ = ["Config", "Nest", "Path", "Tensor", "Variable"]
