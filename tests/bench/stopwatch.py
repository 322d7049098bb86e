"""Times one command from a small process: `python -I -S stopwatch.py STDOUT STDERR COMMAND...`.

Prints one JSON object: `seconds`, `cpu_seconds` (user and system, children that it waited for included),
`peak_megabytes` and `exit_code`. It imports next to nothing on purpose: a child's ru_maxrss begins with the memory of
the process that started it, so a large parent would be measured in its place. That floor is about 10 MB here.
"""

import json
import os
import sys
import time

CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def main(stdout: str, stderr: str, command: list[str]) -> None:
    """Run the command to its end, its output into two files."""
    outputs = [(os.POSIX_SPAWN_OPEN, 1, stdout, CREATE, 0o600), (os.POSIX_SPAWN_OPEN, 2, stderr, CREATE, 0o600)]
    started = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=outputs)
    _, status, usage = os.wait4(pid, 0)
    figures = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_megabytes": usage.ru_maxrss / 1024,
        "exit_code": os.waitstatus_to_exitcode(status),
    }
    print(json.dumps(figures))  # noqa: T201 - its answer


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
