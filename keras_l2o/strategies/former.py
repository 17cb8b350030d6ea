"""Arguments of strategies by the names that they had before.

Run directories keep the names of their time, and command lines of the 2021
code have them.
"""

import types

#: Every former name, and what it became.
ARGUMENTS = types.MappingProxyType(
    {"epochs": "episodes", "validation_epochs": "validation_episodes"}
)
