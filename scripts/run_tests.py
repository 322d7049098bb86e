"""Run groups of checks one after the other and say how long each took: run_tests.py lint unit integration e2e."""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

GROUPS = {
    "lint": [
        [BIN / "ruff", "check", "."],
        [BIN / "ruff", "format", "--check", "."],
        [BIN / "mypy"],
        [BIN / "lint-imports"],
    ],
    "unit": [[BIN / "pytest", "-q", "-n", "2", "tests/unit"]],
    "integration": [[BIN / "pytest", "-q", "-n", "2", "--dist", "loadfile", "tests/integration", "--durations=5"]],
    "reliability": [[BIN / "pytest", "-q", "-n", "2", "--dist", "worksteal", "tests/reliability", "--durations=5"]],
    "e2e": [[BIN / "pytest", "-q", "tests/e2e", "--durations=5"]],
}


def run_group(name: str) -> tuple[bool, float]:
    """Run one group to its end, also after a failure, so that one run tells all."""
    print(f"\n=== {name}", flush=True)
    started = time.monotonic()
    codes = [subprocess.run(command, cwd=ROOT, check=False).returncode for command in GROUPS[name]]
    return not any(codes), time.monotonic() - started


def main() -> int:
    """Run the groups named on the command line and print a line for each."""
    results = {name: run_group(name) for name in sys.argv[1:]}
    print("\n=== time by group")
    for name, (passed, seconds) in results.items():
        print(f"  {name:<12} {seconds:6.1f} s  {'passed' if passed else 'FAILED'}")
    print(f"  {'all':<12} {sum(seconds for _, seconds in results.values()):6.1f} s")
    return 0 if all(passed for passed, _ in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
