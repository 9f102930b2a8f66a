"""Runs the groups of checks and prints a line for each check. Started by `run`."""

import json
import pathlib
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import az_account
import az_deploy
import az_errors
import az_settings
import az_swap
import harness
import interplay
import node_sdk
import python_sdk
import shape_checks

# The long ones first.
GROUPS = [
    az_account.group,
    az_deploy.group,
    az_settings.group,
    az_swap.group,
    az_errors.group,
    interplay.group,
    python_sdk.group,
    node_sdk.group,
    shape_checks.group,
]

# az spends most of its time in Python's start and in its own pauses.
AT_ONCE = 2


class Tally:
    """What came out; each line is printed as it happens."""

    def __init__(self):
        self.lock, self.failed, self.passed = threading.Lock(), [], 0

    def note(self, name, seconds, problem=None):
        with self.lock:
            if problem is None:
                self.passed += 1
                print(f"ok    {name}  {seconds:.1f} s", flush=True)
            else:
                self.failed.append(name)
                print(f"FAIL  {name}  {seconds:.1f} s\n{problem}", flush=True)


def run_group(group, setup, only, tally):
    if not group.program and not any(name.startswith(only) for name, _ in group.checks):
        return
    begun = time.monotonic()
    try:
        emulator = harness.Emulator(setup, group.scenario)
    except Exception:
        return tally.note(f"{group.title}: start", time.monotonic() - begun, traceback.format_exc(limit=3))
    try:
        if group.wants_login:
            emulator.login()
        if group.program:
            run_program(group, emulator, only, tally)
        # An earlier check may have made what a later one needs: they run even when they are not wanted.
        for name, check in group.checks:
            note(name, only, tally, *harness.timed(check, emulator))
    except Exception:
        tally.note(f"{group.title}: sign-in", time.monotonic() - begun, traceback.format_exc(limit=3))
    finally:
        end(emulator, group, tally)


def note(name, only, tally, seconds, problem):
    if name.startswith(only):
        tally.note(name, seconds, problem)


def run_program(group, emulator, only, tally):
    """Checks in a process of their own: it has failed if it ends badly, whatever its lines say."""
    command = list(map(str, group.program(emulator)))
    count, log = 0, emulator.folder / "program.log"
    with open(log, "w") as errors:
        process = subprocess.Popen(
            command, env=emulator.env, cwd=emulator.folder, text=True, stdout=subprocess.PIPE, stderr=errors
        )
        # It has no pauses of its own; one that hangs is ended, and its lines with it.
        limit = threading.Timer(harness.COMMAND, process.kill)
        limit.start()
        for line in process.stdout:
            if line.startswith("{"):
                told = json.loads(line)
                count += 1
                note(told["name"], only, tally, told["seconds"], told["problem"])
        code = process.wait()
        limit.cancel()
    if code != 0 or not count:
        tally.note(f"{group.title}: program", 0, f"{count} checks, exit {code}\n{log.read_text()[-2000:]}")


def end(emulator, group, tally):
    """An emulator that does not end well has failed, whatever the checks say."""
    try:
        emulator.end()
    except Exception as error:
        emulator.process.kill()
        tally.note(f"{group.title}: end", 0, str(error))


def main():
    binary, clients, work = map(pathlib.Path, sys.argv[1:4])
    only = sys.argv[4] if len(sys.argv) > 4 else ""
    setup, tally, begun = harness.Setup(binary, clients, work), Tally(), time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda group: run_group(group, setup, only, tally), GROUPS))
    if not only:
        for name, check in shape_checks.coverage.checks:
            note(name, only, tally, *harness.timed(check, setup.used))
    print(f"{tally.passed} checks passed, {len(tally.failed)} failed, {time.monotonic() - begun:.0f} s")
    for name in tally.failed:
        print(f"failed: {name}")
    if not tally.passed and not tally.failed:
        print(f"no check is named {only}…")
    sys.exit(1 if tally.failed or not tally.passed else 0)


if __name__ == "__main__":
    main()
