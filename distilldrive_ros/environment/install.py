"""Sets up the virtual environment of this checkout; called by `make`, also by hand:

    python3 distilldrive_ros/environment/install.py [--venv .venv] [--with-tests] [--with-worlds]

Needs nothing but the standard library. This file keeps to syntax that any Python 3 can read, so that an
unsupported interpreter is told so in one line.
"""

import shutil
import sys
from pathlib import Path

OLDEST = (3, 10)
NEWEST = (3, 13)


def unsupported_interpreter() -> "str | None":
    """One line that says why this interpreter cannot be used and what to type instead, or None."""
    version = sys.version_info[:2]
    if sys.implementation.name == "cpython" and OLDEST <= version <= NEWEST:
        return None
    names = [f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    found = [name for name in names if shutil.which(name)]
    remedy = f"run `make PYTHON={found[0]}`" if found else "install one of them, then `make PYTHON=python3.11`"
    return (
        f"error: {sys.implementation.name} {version[0]}.{version[1]} cannot be used: "
        f"the pinned packages exist for CPython 3.{OLDEST[1]} to 3.{NEWEST[1]}; {remedy}"
    )


def main() -> int:
    """Exit status: 0 set up, 1 a step failed, 2 wrong usage or interpreter, 130 interrupted."""
    complaint = unsupported_interpreter()
    if complaint:
        sys.stderr.write(complaint + "\n")
        return 2
    root = Path(__file__).resolve().parents[2]
    sys.path[0] = str(root)  # was this folder, whose module names are not meant to be top-level ones
    from distilldrive_ros.environment.setup_steps import main as run_setup

    return run_setup(root, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
