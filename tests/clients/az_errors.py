"""az: what it says when something cannot be."""

from harness import Group, holds, same, until

# A swap takes long enough for az to come in between.
group = Group("az errors", "durations: {retry-after: 1s, swap-finish: 60s, scm-restart: 0s}\n", login=True)


@group.check("az.error-unknown-slot")
def unknown_slot(service):
    arguments = f"-g {service.group} -n {service.app} -s stagin"
    for command in ["webapp show", "webapp deployment slot swap", "webapp restart"]:
        holds(service.az_fails(f"{command} {arguments}"), "stagin", "not found")
    package = service.package("never")
    holds(service.az_fails(f"webapp deploy {arguments} --type zip --src-path {package}"), "stagin")
    same(service.swaps(), 0)


@group.check("az.error-unknown-app")
def unknown_app(service):
    holds(service.az_fails(f"webapp show -g {service.group} -n nobody"), "nobody", "not found")
    holds(service.az_fails(f"webapp show -g elsewhere -n {service.app}"), "elsewhere", "could not be found")


@group.check("az.error-wrong-secret")
def wrong_secret(service):
    login = f"login --service-principal -u {service.ready['client_id']} -p wrong --tenant {service.ready['tenant_id']}"
    service.env, right = {**service.env, "AZURE_CONFIG_DIR": str(service.folder / "other-az")}, service.env
    try:
        register = f"--endpoint-resource-manager {service.ready['resource_manager']}"
        service.az(f"cloud register -n Other {register}")
        service.az("cloud set -n Other")
        holds(service.az_fails(login), "AADSTS7000215")
        holds(service.az_fails(f"webapp show -g {service.group} -n {service.app}"), "az login")
    finally:
        service.env = right


@group.check("az.error-not-authorized")
def not_authorized(service):
    service.control("POST", "act", {"role": "reader"})
    try:
        error = service.az_fails(f"webapp restart -g {service.group} -n {service.app} -s staging")
    finally:
        service.control("POST", "act", {"role": "contributor"})
    holds(error, "AuthorizationFailed", "Microsoft.Web/sites/slots/restart/action")


@group.check("az.error-not-modelled")
def not_modelled(service):
    error = service.az_fails(f"webapp webjob continuous list -g {service.group} -n {service.app}")
    holds(error, "The emulator does not model GET", "continuouswebjobs")


@group.check("az.error-conflict")
def conflict(service):
    service.control("POST", "act", {"swap": {"source": "staging"}})
    swap = f"webapp deployment slot swap -g {service.group} -n {service.app} -s staging"
    holds(service.az_fails(swap), "another operation is in progress", "SwapSiteSlots")
    same(len(service.world()["operations"]), 1)
    until("the first swap has switched", lambda: service.swaps() == 1)
