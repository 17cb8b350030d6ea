"""Carries the pre-trained optimizers, and their cards, into the package."""

import pathlib
import shutil

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithReplicates(build_py):
    def run(self):
        super().run()
        for name in ("pre-trained", "hub_cards"):
            source = pathlib.Path(name)
            if source.is_dir() and not self.editable_mode:
                target = pathlib.Path(self.build_lib, "keras_l2o", name)
                shutil.copytree(source, target, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithReplicates})
