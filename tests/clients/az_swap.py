"""az: swap, preview, reset, traffic."""

from harness import Group, same

group = Group("az swap and traffic", "durations: {retry-after: 1s}\n", login=True)


def swap(service, more=""):
    return service.az(f"webapp deployment slot swap -g {service.group} -n {service.app} -s staging {more}")


@group.check("az.swap")
def direct_swap(service):
    package = service.package("two")
    service.az_try(f"webapp deploy -g {service.group} -n {service.app} -s staging --type zip --src-path {package}")
    old, contents = service.serves("production"), [service.slot(slot)["content"] for slot in ["production", "staging"]]
    swap(service, "--target-slot production")
    same((service.serves("production"), service.serves("staging")), ("two", old))
    same([service.slot(slot)["content"] for slot in ["staging", "production"]], contents, "the content's ids")
    same(service.swaps(), 1)
    shown = service.az(f"webapp show -g {service.group} -n {service.app}")["slotSwapStatus"]
    same((shown["sourceSlotName"], shown["destinationSlotName"]), ("staging", "Production"))


@group.check("az.swap-preview")
def preview(service):
    arguments = f"-g {service.group} -n {service.app}"
    service.az(f"webapp config appsettings set {arguments} --slot-settings ROLE=production")
    service.az(f"webapp config appsettings set {arguments} -s staging --slot-settings ROLE=staging")
    serves = service.serves("production"), service.serves("staging")
    swap(service, "--action preview")
    same(service.slot("production")["target_swap_slot"], "staging")
    # The slot has the target's settings meanwhile, and nobody's content has moved.
    same(service.slot("staging")["app_settings"]["ROLE"], "production")
    same((service.serves("production"), service.serves("staging")), serves)


@group.check("az.swap-reset")
def reset(service):
    swap(service, "--action reset --target-slot production")
    same(service.slot("production")["target_swap_slot"], None)
    same(service.slot("staging")["app_settings"]["ROLE"], "staging")
    same(service.swaps(), 1)


@group.check("az.swap-after-preview")
def swap_after_preview(service):
    serves = service.serves("production"), service.serves("staging")
    swap(service, "--action preview")
    swap(service, "--action swap")
    same((service.serves("staging"), service.serves("production")), serves)
    same((service.swaps(), service.slot("production")["target_swap_slot"]), (2, None))
    roles = [service.slot(slot)["app_settings"]["ROLE"] for slot in ["production", "staging"]]
    same(roles, ["production", "staging"])


@group.check("az.traffic-routing-set")
def traffic_set(service):
    command = f"webapp traffic-routing set -g {service.group} -n {service.app}"
    rules = service.az(f"{command} --distribution staging=100")
    same([(rule["name"], rule["reroutePercentage"]) for rule in rules], [("staging", 100.0)])
    same(service.serves("production"), service.serves("staging"), "production's host")


@group.check("az.traffic-routing-show")
def traffic_show(service):
    rules = service.az(f"webapp traffic-routing show -g {service.group} -n {service.app}")
    same([(rule["name"], rule["reroutePercentage"]) for rule in rules], [("staging", 100.0)])


@group.check("az.traffic-routing-clear")
def traffic_clear(service):
    service.az(f"webapp traffic-routing clear -g {service.group} -n {service.app}")
    assert service.serves("production") != service.serves("staging"), "production answers for itself again"
    same(service.az(f"webapp traffic-routing show -g {service.group} -n {service.app}"), [])
