"""Checks what is about to be released, as its users will get it.

    make release-check

builds both files of a release into `dist/` and checks their metadata; then this
program checks that

- they are of one version, which `CITATION.cff` and, if it is given, the tag
  name, too;
- the wheel is small, and the source distribution has all that git has but the
  stored runs that `MANIFEST.in` leaves out;
- each can be installed, alone with JAX, in an environment of its own, and runs
  the first program of README.md there;
- the quick tests in the source distribution pass, away from this checkout.

It takes some minutes and a network. The exit status is 0 if all is well.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
LARGEST_WHEEL = 2_000_000
#: What git has and a source distribution need not have.
STORED = ("held_out_25/", "meta_training/", "unseen/")
#: What Python must not find: this checkout, and what its tests set.
HIDDEN = ("PYTHONPATH", "PYTHONHOME")


def first_example():
    """The first program of README.md, as a reader copies it."""
    text = (ROOT / "README.md").read_text("utf-8")
    return re.search(r"^```python\n(.*?)^```$", text, re.M | re.S)[1]


def pip(python, *arguments):
    """Runs pip for another environment, which need not have it.

    Returns:
        A `subprocess.CompletedProcess`, with what was printed as text.
    """
    return subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check",
         f"--python={python}", *map(str, arguments)],
        capture_output=True,
        text=True,
    )  # fmt: skip


def install(folder, package):
    """Installs a file of a release, with JAX, in an environment of its own.

    Args:
        folder: Path of the environment, which is made.
        package: Path of a wheel or a source distribution.

    Returns:
        The path of the environment's Python, and the result of `pip`.
    """
    venv.create(folder, with_pip=False)
    python = pathlib.Path(folder, "bin", "python")
    return python, pip(
        python, "install", "--quiet", "--no-compile", "--retries=2",
        f"--constraint={ROOT / 'constraints.txt'}", f"{package}[jax]",
    )  # fmt: skip


def run(python, *arguments, folder, backend="jax"):
    """Runs a Python that sees neither this checkout nor its packages.

    Returns:
        A `subprocess.CompletedProcess`, with what was printed as text.
    """
    kept = {k: v for k, v in os.environ.items() if k not in HIDDEN}
    return subprocess.run(
        [str(python), *map(str, arguments)],
        cwd=folder,
        env={**kept, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )


def files(dist):
    """The wheel and the source distribution in a folder.

    Raises:
        ValueError: There is not exactly one of each.
    """
    found = []
    for kind in ("*.whl", "*.tar.gz"):
        paths = sorted(pathlib.Path(dist).glob(kind))
        if len(paths) != 1:
            raise ValueError(
                f"There must be one {kind} in {dist}. Found: "
                f"{', '.join(path.name for path in paths) or 'none'}."
            )
        found += paths
    return found


def version_faults(wheel, source, tag=""):
    """What is wrong with the versions of a release, as a list of lines.

    Args:
        wheel: Path.
        source: Path of the source distribution.
        tag: String, such as `"v1.2.0"`. Defaults to `""`, no tag.
    """
    told = (ROOT / "keras_l2o" / "version.py").read_text("utf-8")
    version = re.search(r'^__version__ = "(.+)"$', told, re.M)[1]
    cited = (ROOT / "CITATION.cff").read_text("utf-8")
    found = {
        wheel.name: wheel.name.split("-")[1],
        source.name: source.name.removesuffix(".tar.gz").rpartition("-")[2],
        "CITATION.cff": re.search(r"^version: (.+)$", cited, re.M)[1].strip(
            '"'
        ),
    }
    if tag:
        found["the tag"] = tag.removeprefix("v")
    faults = [
        f"{name} is of version {other}, the package of {version}."
        for name, other in found.items()
        if other != version
    ]
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    dated = rf"^## {re.escape(version)} - \d{{4}}-\d\d-\d\d$"
    if tag and not re.search(dated, changes, re.M):
        faults.append(
            f"CHANGELOG.md has no heading '## {version} - YYYY-MM-DD'."
        )
    return faults


def content_faults(wheel, source, tracked):
    """What is wrong with the size and the content, as a list of lines.

    Args:
        wheel: Path.
        source: Path of the source distribution.
        tracked: List of the files that the source distribution must have,
            strings with `/`; those in `STORED` are ignored.
    """
    faults = []
    size = wheel.stat().st_size
    if size >= LARGEST_WHEEL:
        faults.append(
            f"{wheel.name} has {size} bytes; it must be below {LARGEST_WHEEL}."
        )
    with tarfile.open(source) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    lacking = sorted(
        name for name in set(tracked) - held if not name.startswith(STORED)
    )
    if lacking:
        faults.append(
            f"{source.name} lacks {len(lacking)} files, such as {lacking[0]}: "
            "name them in MANIFEST.in."
        )
    return faults


def example_faults(package):
    """What is wrong once a file of a release is installed alone with JAX."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        python, result = install(folder / "environment", package)
        if result.returncode:
            return [f"{package.name} cannot be installed: {result.stderr}"]
        work = folder / "work"
        work.mkdir()
        result = run(python, "-c", first_example(), folder=work)
        if result.returncode or not (work / "digits.keras").is_file():
            return [
                f"The first program of README.md fails with {package.name}: "
                f"{result.stderr[-2000:]}"
            ]
    return []


def test_faults(source):
    """What is wrong with the quick tests of a source distribution."""
    with tempfile.TemporaryDirectory() as scratch:
        with tarfile.open(source) as archive:
            archive.extractall(scratch, filter="data")
        (folder,) = pathlib.Path(scratch).iterdir()
        result = run(
            sys.executable, "-m", "pytest", "-m", "quick", "-x", "-n", "2",
            folder=folder, backend="tensorflow",
        )  # fmt: skip
    if result.returncode:
        return [f"Tests of {source.name} fail: {result.stdout[-4000:]}"]
    return []


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dist", help="Folder with a wheel and an sdist.")
    parser.add_argument("--tag", default="", help="Tag of the release.")
    arguments = parser.parse_args()
    wheel, source = files(arguments.dist)
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True,
        text=True,
    ).stdout.splitlines()  # fmt: skip
    steps = {
        "versions": lambda: version_faults(wheel, source, arguments.tag),
        "contents": lambda: content_faults(wheel, source, tracked),
        f"first example with {wheel.name}": lambda: example_faults(wheel),
        f"first example with {source.name}": lambda: example_faults(source),
        f"quick tests of {source.name}": lambda: test_faults(source),
    }
    faulty = False
    for name, step in steps.items():
        faults = step()
        print(f"{name}: {'all is well' if not faults else ''}".strip())
        for fault in faults:
            faulty = True
            print(f"    {fault}", flush=True)
    print(f"wheel_bytes = {wheel.stat().st_size}")
    print(f"sdist_bytes = {source.stat().st_size}")
    return int(faulty)


if __name__ == "__main__":
    sys.exit(main())
