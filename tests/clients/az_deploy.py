"""az: deployments in every form, their logs."""

import functools
import http.server
import threading
import zipfile

from harness import Group, holds, same, until

group = Group("az deploy", "durations: {retry-after: 1s, deploy: 500ms}\n", login=True)


def deploy(service, text, more):
    arguments = f"-g {service.group} -n {service.app} --type zip {more}"
    return service.az_try(f"webapp deploy {arguments} --src-path {service.package(text)}")


@group.check("az.deploy-zip")
def deploy_zip(service):
    done = deploy(service, "two", "--slot staging")
    same(done.returncode, 0, done.stderr)
    same((service.serves("staging"), service.serves("production") == "two"), ("two", False))
    record = service.slot("staging")["deployments"][-1]
    same((record["deployer"], record["status"], record["active"]), ("OneDeploy", 4, True))


@group.check("az.deploy-zip-async")
def deploy_zip_async(service):
    done = deploy(service, "three", "--slot staging --async true")
    same(done.returncode, 0, done.stderr)
    same(service.serves("staging"), "three")


@group.check("az.deploy-zip-tracked")
def deploy_zip_tracked(service):
    # Only a Linux app's production is followed through deploymentStatus.
    done = deploy(service, "four", "--track-status true")
    same(done.returncode, 0, done.stderr)
    same(service.serves("production"), "four")
    asked = [one["path"] for one in service.control("GET", "requests") if "deploymentstatus" in one["path"].lower()]
    assert asked, "az asked for deploymentStatus"


@group.check("az.deploy-src-url")
def deploy_src_url(service):
    # By Resource Manager: the service fetches the package, here over plain HTTP from loopback.
    package = service.package("from afar")
    handler = functools.partial(Quiet, directory=package.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = f"--src-url http://127.0.0.1:{server.server_port}"
        deploy = f"webapp deploy -g {service.group} -n {service.app} -s staging --type zip {source}"
        done = service.az_try(f"{deploy}/{package.name}")
        error = service.az_fails(f"{deploy}/nothing.zip")
        server.shutdown()
    same(done.returncode, 0, done.stderr)
    until("the package is served", lambda: service.serves("staging") == "from afar")
    paths = [one["path"] for one in service.control("GET", "requests")]
    assert any("extensions/onedeploy" in path for path in paths), "az took the way of Resource Manager"
    holds(error, "Bad Request")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of files that says nothing of its requests."""

    def log_message(self, *_):
        pass


@group.check("az.deploy-static")
def deploy_static(service):
    page = service.folder / "page.html"
    page.write_text("a page")
    done = service.az_try(
        f"webapp deploy -g {service.group} -n {service.app} -s staging --type static --src-path {page}"
        " --target-path page.html"
    )
    same(done.returncode, 0, done.stderr)
    same(service.request("GET", service.slot_url("staging") + "/page.html"), (200, "a page"))
    same(service.serves("staging"), "from afar", "what was there")


@group.check("az.deploy-broken")
def deploy_broken(service):
    broken = service.folder / "broken.zip"
    broken.write_text("this is no zip")
    error = service.az_fails(
        f"webapp deploy -g {service.group} -n {service.app} -s staging --type zip --src-path {broken}"
    )
    holds(error, "deploy")
    same(service.serves("staging"), "from afar", "what was there")


@group.check("az.log-deployment-show")
def log_deployment_show(service):
    lines = service.az(f"webapp log deployment show -g {service.group} -n {service.app} -s staging")
    assert lines and all("message" in line and "log_time" in line for line in lines), lines


@group.check("az.config-zip")
def config_zip(service):
    source = f"--src {service.package('five')}"
    done = service.az_try(
        f"webapp deployment source config-zip -g {service.group} -n {service.app} -s staging {source}"
    )
    same(done.returncode, 0, done.stderr)
    same(service.serves("staging"), "five")
    # On Linux a zipdeploy has no log_url (seen-in-recordings.md 24), so az has no log to show: as on Azure.
    same(service.az(f"webapp log deployment show -g {service.group} -n {service.app} -s staging"), [])


@group.check("az.log-deployment-list")
def log_deployment_list(service):
    records = service.az(f"webapp log deployment list -g {service.group} -n {service.app} -s staging")
    same(len(records), len(service.slot("staging")["deployments"]))
    same([record["status"] for record in records if record["active"]], [4])


@group.check("az.log-download")
def log_download(service):
    path = service.folder / "logs.zip"
    done = service.az_try(
        f"webapp log download -g {service.group} -n {service.app} -s staging --log-file {path}"
    )
    same(done.returncode, 0, done.stderr)
    names = zipfile.ZipFile(path).namelist()
    assert names and all(name.startswith("LogFiles/") for name in names), names


@group.check("az.scm-by-basic")
def scm_by_basic(service):
    # With basic sign-in allowed az takes the publishing password to SCM, else a token (every check above).
    policy = "resource update --namespace Microsoft.Web --resource-type basicPublishingCredentialsPolicies -n scm"
    parent = f"--parent sites/{service.app}/slots/staging -g {service.group} --set properties.allow=true"
    service.az(f"{policy} {parent} --api-version 2023-12-01")
    done = deploy(service, "six", "--slot staging")
    same(done.returncode, 0, done.stderr[-2000:])
    same(service.serves("staging"), "six")
    asked = [one["path"] for one in service.control("GET", "requests")]
    assert any("publishingcredentials/list" in path.lower() for path in asked), "az asked for the password"
