"""az and Slotway on the same service, and each alone on one of two equal ones."""

import re
import shlex

from harness import Emulator, Group, holds, same, until

group = Group("interplay", "durations: {retry-after: 1s}\n", login=True)

# Long enough for the other one to come in between.
SLOW = "durations: {retry-after: 1s, swap-apply: 8s}\n"
EQUAL = """
durations: {retry-after: 1s}
slots:
  production: {settings: {MOVES: old}, slot-settings: {STAYS: production}}
  staging: {settings: {MOVES: new}, slot-settings: {STAYS: staging}}
"""


def deploy(service, text):
    package = service.package(text)
    target = f"-g {service.group} -n {service.app} -s staging"
    done = service.az_try(f"webapp deploy {target} --type zip --src-path {package}")
    same(done.returncode, 0, done.stderr)


def swap(service):
    service.az(f"webapp deployment slot swap -g {service.group} -n {service.app} -s staging")


def told(report):
    """Which release each slot serves, as a status report tells."""
    return {slot["slot"]: slot["release-id"] for slot in report["slots"]}


@group.check("interplay.az-deploys-slotway-tells")
def az_deploys(service):
    deploy(service, "by az")
    id = service.slot("staging")["active_deployment"]
    same(told(service.slotway_report("status"))["staging"], id)
    swap(service)
    same(told(service.slotway_report("status"))["production"], id)


@group.check("interplay.az-deploys-slotway-swaps")
def slotway_swaps(service):
    deploy(service, "by az, swapped by slotway")
    id = service.slot("staging")["active_deployment"]
    report = service.slotway_report("swap", "--release-id", id)
    same((report["outcome"], service.serves("production")), ("released", "by az, swapped by slotway"))
    # And az goes back.
    swap(service)
    same(service.serves("production"), "by az")


@group.check("interplay.slotway-releases-az-tells")
def slotway_releases(service):
    report = service.slotway_report("release", "--package", service.package("by slotway"))
    same(report["outcome"], "released")
    target = f"-g {service.group} -n {service.app}"
    records = service.az(f"webapp log deployment list {target}")
    same([record["id"] for record in records if record["active"]], [report["release-id"]])
    status = service.az(f"webapp show {target}")["slotSwapStatus"]
    same((status["sourceSlotName"], status["destinationSlotName"]), ("staging", "Production"))


@group.check("interplay.az-swaps-in-between")
def az_swaps_in_between(service):
    # The smoke check of Slotway's release is an az that swaps.
    swaps = service.swaps()
    script = service.folder / "meddle.sh"
    command = f"az webapp deployment slot swap -g {service.group} -n {service.app} -s staging"
    path = shlex.quote(service.env["PATH"])
    script.write_text(f"export PATH={path}\n. {service.folder}/exports.sh\n{command} 2>&1\n")
    config = service.folder / "meddled.yml"
    config.write_text(f"checks:\n  - {{name: meddler, run: bash {script}, timeout: 1m, on: [staging]}}\n")
    package = service.package("meddled")
    report = service.slotway_report("release", "--package", package, "--config", config, code=5)
    # az brought the new build into production. Slotway sees it, does not swap it out again, and says what is.
    same((service.swaps(), service.serves("production")), (swaps + 1, "meddled"))
    same((report["outcome"], report["production"]["after"]), ("stuck", report["release-id"]))
    holds(report["cause"], "staging serves", f"not {report['release-id']}")


@group.check("interplay.az-swaps-before-slotway")
def az_swaps_before(service):
    # Slotway deploys, az swaps, Slotway is asked to swap: it is done, so it is proven and not repeated.
    staged = service.slotway_report("deploy", "--package", service.package("in two steps"))
    swaps = service.swaps()
    swap(service)
    report = service.slotway_report("swap", "--release-id", staged["release-id"])
    same((report["outcome"], report["production"]["after"]), ("released", staged["release-id"]))
    same((service.swaps(), service.serves("production")), (swaps + 1, "in two steps"))


@group.check("interplay.conflict")
def conflict(shared):
    service = Emulator(shared.setup, SLOW)
    try:
        service.login()
        release = service.slotway("release", "--package", service.package("slow"))
        until("Slotway's swap is under way", lambda: service.world()["operations"])
        target = f"-g {service.group} -n {service.app}"
        holds(service.az_fails(f"webapp deployment slot swap {target} -s staging"), "another operation is in progress")
        output, error = release.communicate(timeout=120)
        same((release.returncode, service.serves("production")), (0, "slow"), error[-1500:])
        same(service.swaps(), 1)
    finally:
        service.end()


@group.check("interplay.same-world")
def same_world(shared):
    worlds = []
    for release in [by_az, by_slotway]:
        service = Emulator(shared.setup, EQUAL)
        try:
            release(service)
            same(service.serves("production"), "the release")
            worlds.append(plain(service))
            # The comparison sees a single setting.
            service.control("POST", "act", {"settings": {"slot": "staging", "set": {"MOVES": "otherwise"}}})
            assert plain(service) != worlds[-1], "nothing is compared"
        finally:
            service.end()
    same(*worlds)


def by_az(service):
    service.login()
    deploy(service, "the release")
    swap(service)


def by_slotway(service):
    package = service.package("the release")
    same(service.slotway_report("release", "--package", package)["outcome"], "released")


TIMES = {"time", "now", "next_due", "received", "since", "created", "ended"}


def plain(service):
    """The world without times, and with numbers by order of appearance in the place of ids."""
    seen = {}

    def number(found):
        return f"#{seen.setdefault(found.group(), len(seen))}"

    def walk(value):
        if isinstance(value, dict):
            return {walk(name): walk(item) for name, item in sorted(value.items()) if name not in TIMES}
        if isinstance(value, list):
            return [walk(item) for item in value]
        return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", number, value) if isinstance(value, str) else value

    return walk(service.world())
