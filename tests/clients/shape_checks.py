"""Every operation that the emulator models, its answer read by shapes.py."""

import copy
import functools
import json
import re
import urllib.request

import beyond
from harness import Group, same, until
from shapes import Shapes

group = Group(
    "shapes",
    """
durations: {retry-after: 1s, swap-apply: 1s}
slots:
  production: {settings: {A: b}, slot-settings: {C: d}, web-config: {healthCheckPath: /health}}
  staging: {slot-settings: {C: e}}
""",
)
# The names of the operations whose answers were read.
CHECKED = set()
VERSIONS = ["2024-11-01", "2025-05-01"]
SWAP = {"targetSlot": "production", "preserveVnet": True}


@functools.cache
def shapes():
    return Shapes()


class Caller:
    """Sends requests as no client does and reads the answers with the models."""

    def __init__(self, service):
        self.service, ready = service, service.ready
        form = (
            "grant_type=client_credentials&client_id={client_id}&client_secret={client_secret}"
            "&scope={resource_manager}.default"
        ).format(**ready)
        url = f"{ready['authority']}/{ready['tenant_id']}/oauth2/v2.0/token"
        with urllib.request.urlopen(url, form.encode(), context=service.trust) as answer:
            token = json.load(answer)["access_token"]
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        subscription = f"subscriptions/{ready['subscription_id']}"
        self.group = f"{subscription}/resourceGroups/{ready['resource_group']}"
        self.site = f"{self.group}/providers/Microsoft.Web/sites/{ready['app_name']}"
        self.places = {"site": self.site, "group": self.group, "subscription": subscription}

    def send(self, method, path, body=None, version=VERSIONS[-1]):
        """Status, body and what is wrong with them."""
        url = f"{self.service.ready['resource_manager']}{path}?api-version={version}"
        status, answer = self.service.request(method, url, body, self.headers)
        found = shapes().find(method, "/" + path)
        if found and status < 400:
            CHECKED.add(found.name)
        problems = shapes().problems(method, "/" + path, status, answer)
        return status, answer, [f"{version}: {problem}" for problem in problems]

    def all_right(self, requests):
        """Each of (method, path below the site, body) in each api-version, for the site and for a slot."""
        wrong = []
        for version in VERSIONS:
            for method, path, *body in requests:
                status, answer, problems = self.send(method, path.format(**self.places), *body, version=version)
                wrong += problems
                if status >= 400:
                    wrong.append(f"{version}: {method} {path}: {status} {answer}")
        assert not wrong, "\n".join([f"{len(wrong)} problems", *wrong[:40]])


def both(*requests):
    """The same of the site and of its slot."""
    sides = ["{site}", "{site}/slots/staging"]
    return [(method, side + path, *body) for side in sides for method, path, *body in requests]


@group.check("shape.sites")
def sites(service):
    Caller(service).all_right([
        *both(("GET", "")),
        ("GET", "{site}/slots"),
        ("GET", "{group}/providers/Microsoft.Web/sites"),
        ("GET", "{subscription}/providers/Microsoft.Web/sites"),
    ])


@group.check("shape.slots")
def slots(service):
    body = {"location": "West Europe", "properties": {"siteConfig": {"alwaysOn": True}}}
    Caller(service).all_right([
        ("PUT", "{site}/slots/new", body),
        ("PATCH", "{site}/slots/new", {"properties": {"httpsOnly": True}}),
        ("GET", "{site}/slots/new"),
        ("DELETE", "{site}/slots/new"),
    ])


@group.check("shape.site-create-delete")
def site_create_delete(service):
    caller = Caller(service)
    _, site, _ = caller.send("GET", caller.site)
    body = {"location": "West Europe", "kind": "app,linux",
            "properties": {"serverFarmId": site["properties"]["serverFarmId"]}}
    other = "{group}/providers/Microsoft.Web/sites/another"
    caller.all_right([("PUT", other, body), ("GET", other), ("DELETE", other)])
    same(sorted(service.world()["sites"]), [service.app])


@group.check("shape.config")
def config(service):
    strings = {"properties": {"DB": {"value": "x", "type": "SQLAzure"}}}
    Caller(service).all_right([
        *both(
            ("GET", "/config"),
            ("GET", "/config/web"),
            ("PATCH", "/config/web", {"properties": {"alwaysOn": True}}),
            ("PUT", "/config/web", {"properties": {"appCommandLine": ""}}),
            ("POST", "/config/appsettings/list"),
            ("PUT", "/config/appsettings", {"properties": {"A": "b", "C": "d"}}),
            ("PUT", "/config/connectionstrings", strings),
            ("POST", "/config/connectionstrings/list"),
            ("POST", "/config/metadata/list"),
            ("POST", "/config/azurestorageaccounts/list"),
            ("GET", "/config/authsettingsV2"),
            ("PUT", "/config/authsettingsV2", {"properties": {"platform": {"enabled": False}}}),
        ),
        ("GET", "{site}/config/slotConfigNames"),
        ("PUT", "{site}/config/slotConfigNames", {"properties": {"appSettingNames": ["C"]}}),
    ])


@group.check("shape.publishing")
def publishing(service):
    Caller(service).all_right(both(
        ("POST", "/config/publishingcredentials/list"),
        ("POST", "/publishxml", {"format": "WebDeploy"}),
        ("GET", "/basicPublishingCredentialsPolicies"),
        ("GET", "/basicPublishingCredentialsPolicies/scm"),
        ("GET", "/basicPublishingCredentialsPolicies/ftp"),
        ("PUT", "/basicPublishingCredentialsPolicies/scm", {"properties": {"allow": True}}),
        ("POST", "/config/publishingcredentials/list"),
    ))


@group.check("shape.power")
def power(service):
    Caller(service).all_right(both(("POST", "/stop"), ("POST", "/start"), ("POST", "/restart")))


@group.check("shape.deployments")
def deployments(service):
    caller = Caller(service)
    for slot, path in [("production", "{site}"), ("staging", "{site}/slots/staging")]:
        package = service.package(f"shape {slot}").read_bytes()
        url = f"{service.ready['slots'][slot]['scm_url']}/api/publish?type=zip"
        headers = {**caller.headers, "Content-Type": "application/octet-stream"}
        same(service.send_bytes("POST", url, package, headers)[0], 200)
        id = service.slot(slot)["active_deployment"]
        caller.all_right([
            ("GET", f"{path}/deployments"),
            ("GET", f"{path}/deployments/{id}"),
            ("GET", f"{path}/deployments/{id}/log"),
            ("GET", f"{path}/deploymentStatus"),
            ("GET", f"{path}/deploymentStatus/{id}"),
        ])


@group.check("shape.instances")
def instances(service):
    caller = Caller(service)
    _, listed, _ = caller.send("GET", caller.site + "/instances")
    first = listed["value"][0]["name"]
    caller.all_right([
        *both(("GET", "/instances"), ("GET", f"/instances/{first}")),
        *both(("POST", "/containerlogs"), ("POST", "/containerlogs/zip/download")),
    ])


@group.check("shape.plans")
def plans(service):
    caller = Caller(service)
    farms = caller.group + "/providers/Microsoft.Web/serverfarms"
    _, listed, _ = caller.send("GET", farms)
    plan = f"{farms}/{listed['value'][0]['name']}"
    same(len(listed["value"]), 1)
    caller.all_right([("GET", farms), ("GET", plan), ("PATCH", plan, {"sku": {"capacity": 2}})])


@group.check("shape.preview")
def preview(service):
    Caller(service).all_right([
        ("POST", "{site}/slots/staging/slotsdiffs", SWAP),
        ("POST", "{site}/slotsdiffs", {**SWAP, "targetSlot": "staging"}),
        ("POST", "{site}/slots/staging/applySlotConfig", SWAP),
        ("POST", "{site}/slots/staging/resetSlotConfig"),
        ("POST", "{site}/applySlotConfig", {**SWAP, "targetSlot": "staging"}),
        ("POST", "{site}/resetSlotConfig"),
    ])


@group.check("shape.swap")
def swap(service):
    caller = Caller(service)
    for path, target in [("/slots/staging/slotsswap", "production"), ("/slotsswap", "staging")]:
        before = service.swaps()
        status, answer, problems = caller.send("POST", caller.site + path, {**SWAP, "targetSlot": target})
        same((status, answer, problems), (202, "", []))
        operation = service.world()["operations"][-1]["id"]
        poll = caller.site + ("/slots/staging" if "slots/" in path else "") + f"/operationresults/{operation}"
        url = f"{service.ready['resource_manager']}{poll}?api-version={VERSIONS[-1]}"
        same(service.request("GET", url, headers=caller.headers), (202, ""), "while it runs")
        until("the swap is over", lambda: service.swaps() > before)
        status, site = until(
            "the last poll", lambda: next(
                (end for end in [service.request("GET", url, headers=caller.headers)] if end[0] != 202), None)
        )
        # The end of it is the source's site.
        wrong = shapes().walk(shapes().find("GET", "/" + caller.site).final, site, "swap")
        same((status, wrong), (200, []))


@group.check("shape.errors")
def errors(service):
    # What the SDK raises from is the body's code and message, in one of Azure's two shapes.
    caller = Caller(service)
    for method, path, body, expected in [
        ("GET", "/slots/nobody", None, 404),
        ("POST", "/slots/nobody/slotsswap", SWAP, 404),
        ("POST", "/slots/staging/slotsswap", {"targetSlot": "nobody", "preserveVnet": True}, 404),
        ("PUT", "/config/appsettings", {"properties": []}, 400),
        ("POST", "/slots/staging/slotsswap", {}, 400),
    ]:
        status, answer, _ = caller.send(method, caller.site + path, body)
        same(status, expected, path)
        error = answer.get("error") or answer
        code, message = (error.get("code") or error.get("Code")), (error.get("message") or error.get("Message"))
        assert isinstance(code, str) and isinstance(message, str) and code and message, answer


@group.check("shape.can-fail")
def can_fail(service):
    # The reading itself: a good answer spoilt in each way is a problem.
    caller = Caller(service)
    path = "/" + caller.site
    _, site, problems = caller.send("GET", caller.site)
    same(problems, [])
    for change, problem in [
        (lambda spoilt: spoilt.pop("location"), "is required"),
        (lambda spoilt: spoilt.pop("id"), "is required"),
        (lambda spoilt: spoilt.update(surprise=1), "no such field"),
        (lambda spoilt: spoilt["properties"].update(httpsOnly="yes"), "is no bool"),
        (lambda spoilt: spoilt["properties"].update(usageState="Bored"), "is none of UsageState"),
        (lambda spoilt: spoilt["properties"].update(lastModifiedTimeUtc="yesterday"), "is no datetime"),
        (lambda spoilt: spoilt["properties"].update(hostNames="one"), "is no list"),
        (lambda spoilt: spoilt["properties"]["siteConfig"].update(numberOfWorkers=1.5), "is no int"),
    ]:
        spoilt = copy.deepcopy(site)
        change(spoilt)
        found = shapes().problems("GET", path, 200, spoilt)
        same(len(found), 1, str(found))
        assert problem in found[0], found
    assert shapes().problems("GET", path, 202, site), "a status that the SDK does not take"
    assert shapes().problems("BREW", path, 200, site), "a verb that there is not"


# Asked when everything else is over, with what every client has asked for in all emulators.
coverage = Group("coverage")


@coverage.check("shape.every-operation-used")
def every_operation_used(used):
    missing = set()
    for method, path in used:
        path = re.sub("/+", "/", path.split("?")[0])
        if "/microsoft.web/" not in path.lower() or any(re.search(one, path, re.I) for one in beyond.NOT_IN_SDK):
            continue
        found = shapes().find(method, path)
        missing.add(f"{method} {path}: the SDK has no such operation" if found is None else
                    None if found.name in CHECKED else f"{found.name} is used and its answer never read")
    missing.discard(None)
    assert len(used) > 100 and not missing, "\n".join([f"{len(used)} requests", *sorted(missing)])
