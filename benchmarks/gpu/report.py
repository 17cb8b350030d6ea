"""Where the figures of a part go: the screen and a file of JSON lines."""

import argparse
import json
import pathlib
import sys
import time


def parser(documentation):
    """An argument parser with what every part takes.

    Args:
        documentation: String, the module's docstring.
    """
    made = argparse.ArgumentParser(
        description=documentation,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--output", type=pathlib.Path, default="results/gpu")
    made.add_argument("--rounds", type=int, default=7)
    made.add_argument("--part", default="")
    return made


class Report:
    """Prints figures at once, and appends each to a file of JSON lines.

    Args:
        arguments: What `parser` parsed.
        **facts: What every line of the file says, too.
    """

    def __init__(self, arguments, **facts):
        self.facts = {"part": arguments.part, **facts}
        self.started = time.perf_counter()
        arguments.output.mkdir(parents=True, exist_ok=True)
        self.file = arguments.output / "figures.jsonl"
        for name, value in self.facts.items():
            print(f"{name} = {value}")
        sys.stdout.flush()

    def __call__(self, name, value, digits=3):
        """Reports one figure.

        Args:
            name: String.
            value: Number or string.
            digits: Int, the decimals that are printed.
        """
        if isinstance(value, float):
            print(f"{name} = {value:.{digits}f}", flush=True)
        else:
            print(f"{name} = {value}", flush=True)
        line = {**self.facts, "name": name, "value": value}
        with self.file.open("a") as stream:
            stream.write(json.dumps(line) + "\n")

    def note(self, text):
        """Prints how many seconds have passed, and what happens now."""
        passed = time.perf_counter() - self.started
        print(f"[{passed:6.1f} s] {text}", flush=True)
