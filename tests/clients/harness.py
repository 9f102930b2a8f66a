"""What every script of checks needs: a running emulator, the clients' environment, and a list of checks.

A check is a function with a name. The names stand in docs/EMULATOR.md; a test of the project compares the two.
"""

import dataclasses
import io
import itertools
import json
import os
import pathlib
import re
import shlex
import ssl
import subprocess
import time
import traceback
import urllib.error
import urllib.request
import zipfile

# How long anything may take that is waited for.
PATIENCE = 60

# How long one command of a client may take.
COMMAND = 240


@dataclasses.dataclass
class Setup:
    """Where the binary, the clients and the files of a run are."""

    binary: pathlib.Path
    clients: pathlib.Path
    work: pathlib.Path
    # Method and path of what Resource Manager answered well, over all emulators.
    used: set = dataclasses.field(default_factory=set)

    def environment(self):
        """Nothing of the caller's but where programs are; the clients' come first."""
        paths = [self.clients / "python/bin", os.environ["PATH"]]
        return {
            "PATH": ":".join(map(str, paths)),
            "HOME": str(self.work / "home"),
            "TMPDIR": str(self.work / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            # The clients speak to loopback only.
            "NO_PROXY": "127.0.0.1",
        }


class Service:
    """An emulator that runs, and the environment that its --print-env makes."""

    def __init__(self, setup, folder, env):
        self.setup, self.folder, self.env = setup, folder, env
        self.ready = json.loads((folder / "ready.json").read_text())
        self.exports = (folder / "exports.sh").read_text()
        self.app, self.group = self.ready["app_name"], self.ready["resource_group"]
        self.trust = ssl.create_default_context(cafile=self.ready["ca_file"])

    def comment(self, heading):
        """The lines below a heading of the exports, as they are printed but for the comment's sign."""
        found = re.search(rf"^# {re.escape(heading)}.*\n((?:#   .*\n)+)", self.exports, re.MULTILINE)
        assert found, f"--print-env has no '# {heading}'"
        return re.sub(r"^#   ", "", found.group(1), flags=re.MULTILINE)

    def shell(self, script):
        return subprocess.run(
            ["bash", "-ec", script], env=self.env, capture_output=True, text=True, timeout=COMMAND
        )

    def az_try(self, *arguments):
        """Runs az: exit code, standard output, standard error."""
        command = ["az", *shlex.split(" ".join(arguments))]
        return subprocess.run(
            command, env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=COMMAND
        )

    def az(self, *arguments):
        """Runs az, which must succeed, and reads its JSON."""
        done = self.az_try(*arguments)
        assert done.returncode == 0, f"az {' '.join(arguments)}: exit {done.returncode}\n{done.stderr[-2000:]}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def az_fails(self, *arguments):
        """Runs az, which must not succeed, and gives what it says."""
        done = self.az_try(*arguments)
        assert done.returncode != 0, f"az {' '.join(arguments)} succeeded: {done.stdout[-500:]}"
        assert "Traceback" not in done.stderr, done.stderr
        return done.stderr

    def login(self):
        """The lines for az that --print-env prints, as a person would paste them."""
        done = self.shell(self.comment("az:"))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def slotway(self, verb, *arguments, **more):
        """Starts Slotway with what the exports say."""
        command = [self.setup.binary, verb, "--output", "json", *map(str, arguments)]
        return subprocess.Popen(
            command, env={**self.env, **more}, cwd=self.folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )

    def slotway_report(self, verb, *arguments, code=0, **more):
        """Runs Slotway to its end and reads its report."""
        process = self.slotway(verb, *arguments, **more)
        output, error = process.communicate(timeout=PATIENCE * 2)
        assert process.returncode == code, f"slotway {verb}: exit {process.returncode}, not {code}\n{error[-2000:]}"
        return json.loads(output)

    def control(self, method, path, body=None):
        status, answer = self.request(method, self.ready["control"] + path, body)
        assert status == 200, answer
        return answer

    def request(self, method, url, body=None, headers=None):
        """One request of no client's: status and JSON or text."""
        return self.send_bytes(method, url, None if body is None else json.dumps(body).encode(), headers)

    def send_bytes(self, method, url, data, headers=None):
        request = urllib.request.Request(url, data, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, context=self.trust, timeout=PATIENCE) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text.decode(errors="replace")

    def world(self):
        return self.control("GET", "world")

    def slot(self, name):
        return self.world()["sites"][self.app]["slots"][name]

    def swaps(self):
        """How many swaps were carried out."""
        return sum(reached["milestone"] == "swap-switched" for reached in self.world()["milestones"])

    def host(self, slot):
        return self.ready["slots"][slot]["url"].removeprefix("https://")

    def contents(self):
        """Which content production has, and which staging."""
        return [self.slot(slot)["content"] for slot in ["production", "staging"]]

    def serves(self, slot):
        """What a browser gets from a slot."""
        _, page = self.request("GET", self.slot_url(slot))
        return page

    def slot_url(self, slot):
        if slot in self.ready["slots"]:
            return self.ready["slots"][slot]["url"]
        return "https://" + self.az(f"webapp show -g {self.group} -n {self.app} -s {slot}")["defaultHostName"]

    def package(self, text):
        """A zip that serves a text."""
        path = self.folder / f"{re.sub('[^a-z0-9]', '-', text.lower())}.zip"
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("index.html", text)
        path.write_bytes(content.getvalue())
        return path


class Emulator(Service):
    """A `slotway emulator` in a process of its own."""

    numbers = itertools.count(1)

    def __init__(self, setup, scenario=""):
        folder = setup.work / f"emulator-{next(Emulator.numbers)}"
        for place in [folder, setup.work / "home", setup.work / "tmp"]:
            place.mkdir(parents=True, exist_ok=True)
        self.process = self.start(setup, folder, scenario)
        super().__init__(setup, folder, {})
        # The exports are followed to the letter: a shell reads them.
        shell = subprocess.run(
            ["bash", "-c", 'eval "$1"; exec env -0', "exports", self.exports],
            env=setup.environment(), capture_output=True, check=True, text=True,
        )
        self.env = dict(line.split("=", 1) for line in shell.stdout.split("\0") if line)

    def start(self, setup, folder, scenario):
        (folder / "scenario.yml").write_text(scenario)
        ready = folder / "ready.json"
        arguments = ["emulator", "--print-env", "--ready-file", ready]
        arguments += ["--scenario", folder / "scenario.yml"] if scenario else []
        with open(folder / "exports.sh", "w") as exports, open(folder / "log", "w") as log:
            process = subprocess.Popen(
                [setup.binary, *arguments], stdout=exports, stderr=log, env=setup.environment(), cwd=folder
            )
        until("the emulator serves", lambda: ready.exists() or process.poll() is not None)
        if process.poll() is not None:
            raise RuntimeError(f"the emulator ended: {(folder / 'log').read_text()}")
        return process

    def end(self):
        try:
            for one in self.control("GET", "requests"):
                if one["service"] == "resource-manager" and one["status"] and one["status"] < 300:
                    self.setup.used.add((one["method"], one["path"]))
        finally:
            self.process.terminate()
            code = self.process.wait(timeout=PATIENCE)
        assert code == 0, f"the emulator ended with {code}: {(self.folder / 'log').read_text()[-2000:]}"


def until(what, ask, patience=PATIENCE):
    """Asks again until there is something."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = ask()
        if found:
            return found
        # A question to another process; this is the pause between two of them.
        time.sleep(0.02)
    raise AssertionError(f"waited {patience} s in vain: {what}")


class Group:
    """Checks that share an emulator, in their order. `program` makes the command of one that runs in a process of its
    own, for the SDKs read the environment: it prints a line of JSON for each check."""

    def __init__(self, title, scenario="", login=False, program=None):
        self.title, self.scenario, self.wants_login, self.program = title, scenario, login, program
        self.checks = []

    def check(self, name):
        def keep(function):
            self.checks.append((name, function))
            return function

        return keep


def timed(check, *arguments):
    """Runs a check: how long it took and what went wrong, or None."""
    begun, problem = time.monotonic(), None
    try:
        check(*arguments)
    except Exception:
        problem = traceback.format_exc(limit=4)
    return time.monotonic() - begun, problem


def same(actual, expected, what=""):
    """An equation whose sides are both told when it does not hold."""
    assert actual == expected, f"{what} is {actual!r}, not {expected!r}"


def holds(text, *parts):
    """A text that must hold each of these."""
    for part in parts:
        assert part in text, f"{part!r} is not in {text[-1500:]!r}"
