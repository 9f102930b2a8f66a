"""az: the cloud, the login, what there is, slots made and removed."""

import base64
import pathlib
import re
import subprocess

from harness import COMMAND, Group, holds, same

group = Group(
    "az account and slots",
    """
durations: {retry-after: 1s}
slots:
  production:
    settings: {COLOUR: blue, SHARED: both}
    slot-settings: {ROLE: production}
    web-config: {alwaysOn: true, appCommandLine: "", healthCheckPath: /health}
""",
)


@group.check("az.cloud-register")
def cloud_register(service):
    service.login()
    cloud = service.az("cloud show")
    same(cloud["name"], "SlotwayEmulator")
    same(cloud["endpoints"]["resourceManager"], service.ready["resource_manager"])
    same(cloud["isActive"], True)


@group.check("az.login")
def login(service):
    # The commands of the exports have signed in; the account is what Entra and Resource Manager told az.
    account = service.az("account show")
    same(account["id"], service.ready["subscription_id"])
    same(account["tenantId"], service.ready["tenant_id"])
    same(account["user"], {"name": service.ready["client_id"], "type": "servicePrincipal"})
    same(account["environmentName"], "SlotwayEmulator")
    token = service.az("account get-access-token")
    assert token["accessToken"].count(".") == 2, "a signed token has three parts"


@group.check("az.group")
def resource_group(service):
    same(service.az(f"group show -n {service.group}")["name"], service.group)
    same([one["name"] for one in service.az("group list")], [service.group])


@group.check("az.webapp-list")
def webapp_list(service):
    for arguments in ["webapp list", f"webapp list -g {service.group}"]:
        same([site["name"] for site in service.az(arguments)], [service.app], arguments)


@group.check("az.webapp-show")
def webapp_show(service):
    site = service.az(f"webapp show -g {service.group} -n {service.app}")
    same((site["name"], site["state"], site["kind"]), (service.app, "Running", "app,linux"))
    same("https://" + site["defaultHostName"], service.slot_url("production"))
    same(site["siteConfig"]["alwaysOn"], True)
    slot = service.az(f"webapp show -g {service.group} -n {service.app} -s staging")
    same((slot["name"], slot["type"]), (f"{service.app}/staging", "Microsoft.Web/sites/slots"))


@group.check("az.plan-show")
def plan_show(service):
    plan = service.az(f"appservice plan list -g {service.group}")[0]
    same(service.az(f"appservice plan show -g {service.group} -n {plan['name']}")["sku"]["tier"], "Standard")


@group.check("az.slot-list")
def slot_list(service):
    slots = service.az(f"webapp deployment slot list -g {service.group} -n {service.app}")
    same([(slot["name"], slot["state"]) for slot in slots], [("staging", "Running")])


@group.check("az.slot-create")
def slot_create(service):
    made = service.az(f"webapp deployment slot create -g {service.group} -n {service.app} --slot empty")
    same(made["name"], "empty")
    # A slot made without a source has none of production's settings (seen-in-recordings.md 6).
    assert "COLOUR" not in service.slot("empty")["app_settings"]
    status, _ = service.request("GET", "https://" + made["defaultHostName"])
    assert status < 500, status


@group.check("az.slot-create-from-source")
def slot_create_from_source(service):
    create = f"webapp deployment slot create -g {service.group} -n {service.app}"
    made = service.az(f"{create} --slot canary --configuration-source {service.app}")
    same(made["name"], "canary")
    # az leaves out what stays with its slot.
    settings = service.slot("canary")["app_settings"]
    same({name: settings.get(name) for name in ["COLOUR", "SHARED", "ROLE"]},
         {"COLOUR": "blue", "SHARED": "both", "ROLE": None})
    config = service.az(f"webapp config show -g {service.group} -n {service.app} -s canary")
    same((config["healthCheckPath"], config["alwaysOn"]), ("/health", True))


@group.check("az.slot-delete")
def slot_delete(service):
    for slot in ["empty", "canary"]:
        service.az(f"webapp deployment slot delete -g {service.group} -n {service.app} --slot {slot}")
    same(sorted(service.world()["sites"][service.app]["slots"]), ["production", "staging"])


@group.check("az.config-show-set")
def config(service):
    arguments = f"-g {service.group} -n {service.app} -s staging"
    service.az(f"webapp config set {arguments} --always-on true --startup-file 'node server.js'")
    shown = service.az(f"webapp config show {arguments}")
    same((shown["alwaysOn"], shown["appCommandLine"]), (True, "node server.js"))
    service.az(f"webapp config set {arguments} --startup-file ''")


@group.check("az.restart-stop-start")
def restart_stop_start(service):
    arguments = f"-g {service.group} -n {service.app}"
    before = [instance["generation"] for instance in service.slot("staging")["instances"]]
    service.az(f"webapp restart {arguments} -s staging")
    after = [instance["generation"] for instance in service.slot("staging")["instances"]]
    assert before != after, "the instances are new ones"
    service.az(f"webapp stop {arguments} -s staging")
    same(service.slot("staging")["state"], "stopped")
    same(service.request("GET", service.slot_url("staging"))[0], 403)
    service.az(f"webapp start {arguments} -s staging")
    same(service.slot("staging")["state"], "running")
    service.az(f"webapp restart {arguments}")
    same(service.slot("production")["state"], "running")


def allow_basic(service, slot):
    """Lets the publishing password in, which new apps do not."""
    policy = "resource update --namespace Microsoft.Web --resource-type basicPublishingCredentialsPolicies -n scm"
    parent = f"--parent sites/{service.app}/slots/{slot} -g {service.group} --set properties.allow=true"
    service.az(f"{policy} {parent} --api-version 2023-12-01")


@group.check("az.publishing-redacted")
def publishing_redacted(service):
    # While the policy forbids basic sign-in nobody is told the password (seen-in-recordings.md 13).
    arguments = f"-g {service.group} -n {service.app} -s staging"
    profiles = service.az(f"webapp deployment list-publishing-profiles {arguments}")
    same({profile["userPWD"] for profile in profiles}, {"REDACTED"})
    found = service.az(f"webapp deployment list-publishing-credentials {arguments}")
    same((found["publishingUserName"], found["publishingPassword"]), ("REDACTED", "REDACTED"))


@group.check("az.publishing-profiles")
def publishing_profiles(service):
    arguments = f"-g {service.group} -n {service.app} -s staging"
    allow_basic(service, "staging")
    profiles = service.az(f"webapp deployment list-publishing-profiles {arguments}")
    same([profile["publishMethod"] for profile in profiles], ["MSDeploy", "FTP", "ZipDeploy"])
    same(profiles[2]["userName"], f"${service.app}__staging")
    xml = service.az_try(f"webapp deployment list-publishing-profiles {arguments} --xml").stdout
    holds(xml, "publishProfile", profiles[2]["userPWD"])
    # The password of the profile opens the slot's SCM, as Basic.
    pair = f"{profiles[2]['userName']}:{profiles[2]['userPWD']}".encode()
    headers = {"Authorization": "Basic " + base64.b64encode(pair).decode()}
    scm = service.ready["slots"]["staging"]["scm_url"]
    same(service.request("GET", f"{scm}/api/settings", headers=headers)[0], 200)
    same(service.request("GET", f"{scm}/api/settings")[0], 401)


@group.check("az.publishing-credentials")
def publishing_credentials(service):
    arguments = f"-g {service.group} -n {service.app} -s staging"
    found = service.az(f"webapp deployment list-publishing-credentials {arguments}")
    same(found["publishingUserName"], f"${service.app}__staging")
    holds(found["scmUri"], service.ready["slots"]["staging"]["scm_url"].removeprefix("https://"))


@group.check("az.resource-list")
def resource_list(service):
    found = service.az("resource list --resource-type Microsoft.Web/sites")
    same([one["name"] for one in found], [service.app])


@group.check("az.readme")
def readme(service):
    # The five lines of README, as they stand there, in a folder of their own with a package in it.
    text = (pathlib.Path(__file__).parents[2] / "README.md").read_text()
    lines = re.search(r"```sh\n(slotway emulator .*?)```", text, re.DOTALL).group(1)
    folder = service.folder / "readme"
    folder.mkdir()
    (folder / "slotway").symlink_to(service.setup.binary)
    service.package("from the readme").rename(folder / "app.zip")
    # What the lines start is ended, and the app asked before.
    ask = 'curl --silent --fail "https://$(az webapp show -g contoso -n contoso-web --query defaultHostName -o tsv)"'
    script = f"trap 'kill %1' EXIT\n{lines}\n{ask}\n"
    environment = service.setup.environment()
    environment["PATH"] = f"{folder}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", script], env=environment, cwd=folder, capture_output=True, text=True, timeout=COMMAND
    )
    same(done.returncode, 0, done.stderr[-1500:])
    assert done.stdout.endswith("from the readme"), done.stdout[-500:]


@group.check("az.webapp-delete")
def webapp_delete(service):
    # The last check of this emulator: nothing is left afterwards.
    service.az(f"webapp delete -g {service.group} -n {service.app} --keep-empty-plan")
    same((service.az("webapp list"), service.world()["sites"]), ([], {}))
    assert service.az(f"appservice plan list -g {service.group}"), "the plan was to be kept"
