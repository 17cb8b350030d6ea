"""What annotations of a backend's functions say of tensors."""

from typing import Any
from typing import TypeAlias

#: A tensor of the backend's, or an array that it takes for one.
Tensor: TypeAlias = Any

#: Tensors in lists, tuples, named tuples and dicts, nested in any way.
Nest: TypeAlias = Any

#: A `keras.Variable`, or a variable of the backend's own.
Variable: TypeAlias = Any
