"""Which kernels a program of XLA's consists of.

    python -m benchmarks.gpu.kernels [--size 25M] [--rule general]

compiles an optimizer's update and prints the count of each kind of operation
that runs on its own, those of loops as often as the loop goes. The program's
text goes, compressed, to a file beside the figures.
"""

import collections
import gzip
import re

NOT_RUN = {
    "after-all",
    "bitcast",
    "constant",
    "get-tuple-element",
    "parameter",
    "tuple",
}
#: Operations that run the computations that they name, one after another.
CONTROL = {"while", "call", "conditional", "async-start"}
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.\-]+ = .*? ([a-z][\w\-]*)\(")
_NAMED = re.compile(
    r"(?:body|condition|calls|to_apply|true_computation|false_computation)"
    r"=%?([\w.\-]+)"
)
_TIMES = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')


def kernels(text):
    """Counts of the operations that a compiled program runs on their own.

    Args:
        text: String, what `as_text()` of the compiled program returns.

    Returns:
        `collections.Counter` by the operation's kind.
    """
    computations, entry, inside = {}, None, None
    for line in text.splitlines():
        start = _COMPUTATION.match(line)
        if start and not line.startswith(" "):
            inside = computations.setdefault(start[2], [])
            entry = start[2] if start[1] else entry
        elif inside is not None:
            found = _INSTRUCTION.match(line)
            if found:
                inside.append((found[1], line))
    return _counted(computations, entry)


def _counted(computations, name):
    total = collections.Counter()
    for kind, line in computations[name]:
        if kind in CONTROL:
            times = _TIMES.search(line)
            for called in _NAMED.findall(line):
                for inner, count in _counted(computations, called).items():
                    total[inner] += count * int(times[1] if times else 1)
        elif kind not in NOT_RUN:
            total[kind] += 1
    return total


def main():
    # What does not need them is imported without a backend.
    from benchmarks.gpu import device
    from benchmarks.gpu import models
    from benchmarks.gpu import report
    from benchmarks.gpu import rules
    from benchmarks.gpu.jax_update import CompiledUpdate

    parser = report.parser(__doc__)
    parser.add_argument("--size", default="25M", choices=models.GPTS)
    parser.add_argument("--rule", default="general", choices=rules.RULES)
    arguments = parser.parse_args()
    say = report.Report(arguments, **device.facts())
    shapes = models.gpt_shapes(models.GPTS[arguments.size])
    update = CompiledUpdate(rules.RULES[arguments.rule](), shapes)
    name = f"{arguments.rule}_{arguments.size}"
    say(f"{name}_variables", len(shapes))
    text = update.program.as_text()
    counts = kernels(text)
    say(f"{name}_kernels", sum(counts.values()))
    for kind, count in counts.most_common():
        say(f"{name}_kernels_{kind}", count)
    place = arguments.output / f"{name}.{device.BACKEND}.hlo.txt.gz"
    place.write_bytes(gzip.compress(text.encode()))
    say.note(f"the program's text is in {place}")


if __name__ == "__main__":
    main()
