"""azure-mgmt-web and azure-identity, in a process of their own: `python_sdk.py FOLDER BINARY CLIENTS WORK`.

Every answer that the SDK gets is read by shapes.py too, besides what the checks ask.
"""

import json
import os
import pathlib
import sys

from harness import Group, Service, Setup, holds, same, timed

group = Group(
    "Python SDK",
    """
durations: {retry-after: 1s, swap-switch: 300ms}
slots:
  production: {settings: {COLOUR: blue}, slot-settings: {ROLE: production}}
  staging: {slot-settings: {ROLE: staging}}
""",
    program=lambda service: [
        sys.executable, __file__, service.folder, service.setup.binary, service.setup.clients, service.setup.work
    ],
)
CHECKS = []


def check(name):
    def keep(function):
        CHECKS.append((name, function))
        return function

    return keep


def connect(service):
    """The client that the lines of --print-env make, run as they are printed."""
    names = {}
    exec(service.comment("Python:"), names)
    return names["client"]


@check("python.print-env")
def print_env(service, client):
    same(client._config.subscription_id, service.ready["subscription_id"])
    same([site.name for site in client.web_apps.list()], [service.app])


@check("python.get-list")
def get_list(service, client):
    site = client.web_apps.get(service.group, service.app)
    same((site.name, site.state, site.default_host_name), (service.app, "Running", service.host("production")))
    same([site.name for site in client.web_apps.list_by_resource_group(service.group)], [service.app])
    same([slot.name for slot in client.web_apps.list_slots(service.group, service.app)], [f"{service.app}/staging"])
    plan = client.app_service_plans.get(service.group, site.server_farm_id.rsplit("/", 1)[1])
    same((plan.sku.tier, plan.sku.capacity), ("Standard", 2))


@check("python.slot-life-cycle")
def slot_life_cycle(service, client):
    from azure.core.exceptions import ResourceNotFoundError
    from azure.mgmt.web.models import Site, SiteConfig, SiteProperties

    production = client.web_apps.get(service.group, service.app)
    config = SiteConfig(always_on=True, app_settings=[{"name": "A", "value": "1"}])
    wanted = Site(location=production.location, properties=SiteProperties(
        server_farm_id=production.server_farm_id, site_config=config, https_only=True))
    made = client.web_apps.begin_create_or_update_slot(service.group, service.app, "canary", wanted).result()
    same((made.name, made.https_only), (f"{service.app}/canary", True))
    same(service.slot("canary")["app_settings"]["A"], "1")
    same(client.web_apps.get_configuration_slot(service.group, service.app, "canary").always_on, True)
    for verb in ["stop_slot", "start_slot", "restart_slot"]:
        same(getattr(client.web_apps, verb)(service.group, service.app, "canary"), None)
    same(client.web_apps.get_slot(service.group, service.app, "canary").state, "Running")
    client.web_apps.delete_slot(service.group, service.app, "canary")
    try:
        client.web_apps.get_slot(service.group, service.app, "canary")
    except ResourceNotFoundError as error:
        same(error.status_code, 404)
    else:
        raise AssertionError("the slot is still there")


@check("python.settings")
def settings(service, client):
    apps = client.web_apps
    listed = apps.list_application_settings_slot(service.group, service.app, "staging")
    listed.properties["NEW"] = "1"
    written = apps.update_application_settings_slot(service.group, service.app, "staging", listed)
    same(written.properties, {"NEW": "1", "ROLE": "staging"})
    same(service.slot("staging")["app_settings"]["NEW"], "1")
    names = apps.list_slot_configuration_names(service.group, service.app)
    same(names.app_setting_names, ["ROLE"])
    names = apps.update_slot_configuration_names(
        service.group, service.app, {"properties": {"appSettingNames": ["ROLE", "OTHER"]}})
    same((names.app_setting_names, names.connection_string_names), (["ROLE", "OTHER"], []))
    strings = {"properties": {"DB": {"value": "Server=x", "type": "SQLAzure"}}}
    apps.update_connection_strings_slot(service.group, service.app, "staging", strings)
    found = apps.list_connection_strings_slot(service.group, service.app, "staging").properties["DB"]
    same((found.value, found.type), ("Server=x", "SQLAzure"))


@check("python.differences")
def differences(service, client):
    pair = {"targetSlot": "production", "preserveVnet": True}
    found = {one.setting_name: one for one in client.web_apps.list_slot_differences_slot(
        service.group, service.app, "staging", pair)}
    assert "COLOUR" in found and "NEW" in found, list(found)
    pair = {"targetSlot": "staging", "preserveVnet": True}
    back = [one.setting_name for one in client.web_apps.list_slot_differences_from_production(
        service.group, service.app, pair)]
    assert "COLOUR" in back, back


@check("python.swap")
def swap(service, client):
    pair, before = {"targetSlot": "production", "preserveVnet": True}, service.contents()
    poller = client.web_apps.begin_swap_slot(service.group, service.app, "staging", pair)
    same((poller.result(), poller.status()), (None, "Succeeded"))
    same((service.contents(), service.swaps()), (before[::-1], 1))
    status = client.web_apps.get(service.group, service.app).slot_swap_status
    same((status.source_slot_name, status.destination_slot_name), ("staging", "Production"))
    assert status.timestamp_utc.year > 2000, status
    same(service.slot("production")["app_settings"]["ROLE"], "production")


@check("python.swap-with-production")
def swap_with_production(service, client):
    # Production is the source; the slot that is named is the target.
    pair, before = {"targetSlot": "staging", "preserveVnet": True}, service.contents()
    client.web_apps.begin_swap_slot_with_production(service.group, service.app, pair).result()
    same((service.contents(), service.swaps()), (before[::-1], 2))


@check("python.preview-reset")
def preview_reset(service, client):
    pair = {"targetSlot": "production", "preserveVnet": True}
    client.web_apps.apply_slot_configuration_slot(service.group, service.app, "staging", pair)
    same(client.web_apps.get(service.group, service.app).target_swap_slot, "staging")
    client.web_apps.reset_slot_configuration_slot(service.group, service.app, "staging")
    same(client.web_apps.get(service.group, service.app).target_swap_slot, None)
    same(service.swaps(), 2)


@check("python.deployments-instances")
def deployments_instances(service, client):
    apps = client.web_apps
    records = list(apps.list_deployments(service.group, service.app))
    same([record.status for record in records if record.active], [4])
    same(len(list(apps.list_instance_identifiers_slot(service.group, service.app, "staging"))), 2)
    user = apps.begin_list_publishing_credentials_slot(service.group, service.app, "staging").result()
    same(user.publishing_user_name, "REDACTED")
    same(apps.get_scm_allowed_slot(service.group, service.app, "staging").allow, False)
    xml = b"".join(apps.list_publishing_profile_xml_with_secrets_slot(
        service.group, service.app, "staging", {"format": "WebDeploy"}))
    holds(xml.decode(), "<publishData>", 'publishMethod="ZipDeploy"')


@check("python.error-types")
def error_types(service, client):
    from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

    pair = {"targetSlot": "production", "preserveVnet": True}

    def failing(kind, status, code, call, *arguments):
        try:
            result = call(service.group, *arguments)
            getattr(result, "result", lambda: None)()
        except kind as error:
            same((error.status_code, error.error and error.error.code), (status, code))
        else:
            raise AssertionError(f"{call} succeeded")

    apps = client.web_apps
    failing(ResourceNotFoundError, 404, "ResourceNotFound", apps.get, "nobody")
    failing(ResourceNotFoundError, 404, "ResourceNotFound", apps.begin_swap_slot, service.app, "nobody", pair)
    client.web_apps.apply_slot_configuration_slot(service.group, service.app, "staging", pair)
    # The resource provider's older shape has no lower-case code for the SDK to find.
    failing(ResourceExistsError, 409, None, apps.update_application_settings_slot, service.app, "staging",
            {"properties": {}})
    client.web_apps.reset_slot_configuration_slot(service.group, service.app, "staging")
    failing(HttpResponseError, 400, None, apps.update_application_settings_slot, service.app, "staging",
            {"properties": None})


@check("python.error-wrong-secret")
def wrong_secret(service, client):
    from azure.core.exceptions import ClientAuthenticationError
    from azure.identity import ClientSecretCredential

    credential = ClientSecretCredential(
        service.ready["tenant_id"], service.ready["client_id"], "wrong",
        authority=service.ready["authority"], disable_instance_discovery=True)
    try:
        credential.get_token(service.ready["resource_manager"] + ".default")
    except ClientAuthenticationError as error:
        holds(str(error), "AADSTS7000215")
    else:
        raise AssertionError("a wrong secret signed in")


@check("python.answers-fit-the-models")
def answers_fit(service, client):
    # By the hook of main(), over all checks above.
    assert len(SEEN) > 30, len(SEEN)
    wrong = sorted(set(WRONG))
    assert not wrong, "\n".join(wrong[:30])


SEEN, WRONG = [], []


def watch(client):
    """Lets shapes.py read every good answer that the client gets."""
    from shapes import Shapes

    shapes = Shapes()

    def read(response):
        request, answer = response.http_request, response.http_response
        if answer.status_code >= 400 or "operationresults" in request.url or "publishxml" in request.url:
            return
        path = "/" + request.url.split("/", 3)[3]
        # The answer to the first request of a long operation is a stream.
        body = answer.read() if answer.status_code not in (202, 204) else b""
        SEEN.append(path)
        WRONG.extend(shapes.problems(request.method, path, answer.status_code, json.loads(body) if body else None))

    client._config.custom_hook_policy._response_callback = read


def main():
    folder, binary, clients, work = map(pathlib.Path, sys.argv[1:5])
    service = Service(Setup(binary, clients, work), folder, dict(os.environ))
    client = connect(service)
    watch(client)
    for name, function in CHECKS:
        seconds, problem = timed(function, service, client)
        print(json.dumps({"name": name, "seconds": seconds, "problem": problem}), flush=True)


if __name__ == "__main__":
    main()
