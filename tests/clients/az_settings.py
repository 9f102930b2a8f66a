"""az: app settings and connection strings, those that move and those that stay."""

from harness import Group, same

group = Group("az settings", "durations: {retry-after: 1s}\n", login=True)


def by_name(listed):
    return {one["name"]: (one["value"], one["slotSetting"]) for one in listed}


@group.check("az.appsettings-set")
def settings_set(service):
    arguments = f"-g {service.group} -n {service.app} -s staging"
    service.az(f"webapp config appsettings set {arguments} --settings MOVES=1 --slot-settings STAYS=staging")
    service.az(f"webapp config appsettings set {arguments} --settings MOVES=2")
    same(service.slot("staging")["app_settings"] | {"MOVES": "2", "STAYS": "staging"},
         service.slot("staging")["app_settings"])
    names = service.world()["sites"][service.app]["slot_setting_names"]
    same(names["appSettingNames"], ["STAYS"])


@group.check("az.appsettings-list")
def settings_list(service):
    listed = by_name(service.az(f"webapp config appsettings list -g {service.group} -n {service.app} -s staging"))
    same((listed["MOVES"], listed["STAYS"]), (("2", False), ("staging", True)))


@group.check("az.appsettings-delete")
def settings_delete(service):
    arguments = f"-g {service.group} -n {service.app} -s staging"
    service.az(f"webapp config appsettings set {arguments} --settings GONE=1")
    service.az(f"webapp config appsettings delete {arguments} --setting-names GONE")
    settings = service.slot("staging")["app_settings"]
    assert "GONE" not in settings and settings["MOVES"] == "2", settings


@group.check("az.connection-string")
def connection_strings(service):
    arguments = f"-g {service.group} -n {service.app} -s staging"
    command = f"webapp config connection-string set {arguments} -t SQLAzure"
    service.az(f"{command} --settings DB='Server=moves' --slot-settings AUDIT='Server=stays'")
    listed = by_name(service.az(f"webapp config connection-string list {arguments}"))
    same((listed["DB"][1], listed["AUDIT"][1]), (False, True))
    same(listed["DB"][0], "Server=moves")
    service.az(f"webapp config connection-string set {arguments} -t Custom --settings GONE=x")
    service.az(f"webapp config connection-string delete {arguments} --setting-names GONE")
    same(service.slot("staging")["connection_string_names"], ["AUDIT", "DB"])


@group.check("az.settings-after-swap")
def settings_after_swap(service):
    arguments = f"-g {service.group} -n {service.app}"
    service.az(f"webapp config appsettings set {arguments} --slot-settings STAYS=production")
    service.az(f"webapp deployment slot swap {arguments} -s staging")
    listed = [
        by_name(service.az(f"webapp config appsettings list {arguments} {slot}")) for slot in ["", "-s staging"]
    ]
    # What stays is each slot's own still; what moves has moved.
    same(listed[0]["STAYS"], ("production", True))
    same(listed[1]["STAYS"], ("staging", True))
    same((listed[0]["MOVES"], "MOVES" in listed[1]), (("2", False), False))
    strings = by_name(service.az(f"webapp config connection-string list {arguments}"))
    same(sorted(strings), ["DB"])
    strings = by_name(service.az(f"webapp config connection-string list {arguments} -s staging"))
    same(sorted(strings), ["AUDIT"])
