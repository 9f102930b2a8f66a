"""Starts node_sdk.mjs: beside the packages, and with the client that the lines of --print-env make."""

import pathlib
import shutil

from harness import Group

HERE = pathlib.Path(__file__).parent


def program(service):
    # Node looks for packages from the file's own folder upwards.
    (service.folder / "node_modules").symlink_to(service.setup.clients / "node_modules")
    shutil.copy(HERE / "node_sdk.mjs", service.folder)
    (service.folder / "client.mjs").write_text(service.comment("Node:") + "export { client, credential, manager };\n")
    return ["node", service.folder / "node_sdk.mjs"]


group = Group(
    "Node SDK",
    """
durations: {retry-after: 1s, swap-switch: 300ms}
slots:
  production: {settings: {COLOUR: blue}, slot-settings: {ROLE: production}}
  staging: {slot-settings: {ROLE: staging}}
""",
    program=program,
)
