"""Former names of the arguments of strategies.

The run directories of older versions and the command lines of the code of
2021 use them.
"""

import types

#: The present name of an argument by each former one.
ARGUMENTS = types.MappingProxyType(
    {
        "epochs": "episodes",
        "validation_epochs": "validation_episodes",
        "unroll_len": "unroll",
        "annealing_schedule": "imitation_weight",
    }
)
