"""Reads every answer with the models of the SDK under test, strictly.

Which operation has which address, status codes and model is read out of azure-mgmt-web's own code; nothing of it is
written down here. A field that the model does not know or cannot type, a value outside an enumeration and a required
field that is missing are problems. What Azure is known to answer beyond the models stands in beyond.py, each with its
source.
"""

import dataclasses
import datetime
import enum
import inspect
import re
import typing

from azure.mgmt.web import models
from azure.mgmt.web._utils.model_base import Model, _deserialize
from azure.mgmt.web.operations import _operations

import beyond

LIST = "value"


@dataclasses.dataclass
class Operation:
    """One method of the SDK: what it sends, which codes it takes, what it reads."""

    name: str
    method: str
    template: str
    codes: set
    final: type | None
    is_list: bool

    def __post_init__(self):
        pattern = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(self.template))
        self.pattern = re.compile(pattern.rstrip("/") + "/?$", re.IGNORECASE)
        self.literals = len(re.findall(r"/[^{/]+", self.template))


def builders(text):
    """Each request builder's method and address."""
    found = {}
    for part in re.split(r"^def build_", text, flags=re.MULTILINE)[1:]:
        name = "build_" + re.match(r"\w+", part).group()
        part = part.split("\nclass ")[0]
        url = re.search(r'_url = \(?\s*((?:"[^"]*"\s*)+)', part)
        method = re.search(r'HttpRequest\(method="(\w+)"', part)
        if url and method:
            found[name] = method.group(1), "".join(re.findall(r'"([^"]*)"', url.group(1)))
    return found


def operations():
    """All of them, from the source of the SDK."""
    text = inspect.getsource(_operations)
    requests, found = builders(text), []
    for family in re.split(r"^class ", text, flags=re.MULTILINE)[1:]:
        found += operations_of(family, requests)
    return found


def operations_of(family, requests):
    """Those of one class. A method's overloads come before it and have no body."""
    codes, reads = {}, {}
    for part in re.split(r"^    def ", family, flags=re.MULTILINE)[1:]:
        name = re.match(r"\w+", part).group()
        model = re.search(r"_deserialize\(\s*([Ll]ist\[)?_models\.(?!DefaultErrorResponse)(\w+)", part)
        if model:
            reads[name] = model
        used = re.search(r"_request = (build_\w+)\(", part)
        taken = re.search(r"response\.status_code not in \[([\d, ]+)\]", part)
        if used and taken:
            codes[name] = used.group(1), {int(code) for code in taken.group(1).split(",")}
    found = []
    for name, (builder, taken) in codes.items():
        # A long operation's first request is made by _name_initial and its end is read by begin_name.
        final = reads.get(name) or reads.get("begin" + name.removesuffix("_initial"))
        model = getattr(models, final.group(2)) if final else None
        found.append(Operation(name, *requests[builder], taken, model, bool(final and final.group(1))))
    return found


class Shapes:
    """What an answer should look like, by its method and address."""

    def __init__(self):
        self.all = operations()
        self.hints = {}

    def find(self, method, path):
        """The operation that an address belongs to: the most literal of those that fit."""
        path = re.sub("/+", "/", path.split("?")[0])
        fitting = [one for one in self.all if one.method == method and one.pattern.match(path)]
        return max(fitting, key=lambda one: one.literals, default=None)

    def problems(self, method, path, status, body):
        """What is wrong with an answer, line by line."""
        operation = self.find(method, path)
        if operation is None:
            return [f"{method} {path}: the SDK has no such operation"]
        if status not in operation.codes:
            return [f"{operation.name}: the SDK does not take {status}, but {sorted(operation.codes)}"]
        if operation.final is None or status in (202, 204):
            return []
        if operation.name in beyond.LISTS:
            return self.log_lines(body, operation.name)
        found = []
        if operation.is_list and isinstance(body, dict):
            extra = set(body) - {LIST, "nextLink", *beyond.of("List")}
            found += [f"{operation.name}: a list has no {name}" for name in extra]
            for index, item in enumerate(body.get(LIST, ["no value"])):
                found += self.walk(operation.final, item, f"{operation.name}[{index}]")
        else:
            found += self.walk(list[operation.final] if operation.is_list else operation.final, body, operation.name)
        return found

    def log_lines(self, body, where):
        """A log as Kudu answers it, which the models have no words for."""
        found = [] if body.get(LIST) else [f"{where}: no lines"]
        for line in body.get(LIST, []):
            envelope = ["id", "name", "type", "location"]
            found += [f"{where}: {name} is missing" for name in envelope if not line.get(name)]
            fields = line.get("properties", {})
            found += [f"{where}: {name} is wrong in {fields}" for name, kind in beyond.LOG_LINE.items()
                      if not isinstance(fields.get(name, self), kind)]
            found += [f"{where}: {name} is unknown" for name in set(fields) - set(beyond.LOG_LINE)]
        return found

    def fields(self, model):
        """The fields of a model by their names on the wire, with their types."""
        if model not in self.hints:
            types = typing.get_type_hints(model, localns={"_models": models})
            fields = model._attr_to_rest_field if hasattr(model, "_attr_to_rest_field") else {}
            if not fields:
                # The table is made when the first instance is.
                model({})
                fields = model._attr_to_rest_field
            self.hints[model] = {field._rest_name: types[name] for name, field in fields.items()}
        return self.hints[model]

    def walk(self, kind, value, where):
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if kind is typing.Any:
            return []
        if origin is typing.Union:
            others = [one for one in arguments if one is not type(None)]
            if value is None:
                return [] if len(others) < len(arguments) else [f"{where}: is null"]
            enums = [one for one in others if isinstance(one, type) and issubclass(one, enum.Enum)]
            if enums:
                return self.enumeration(enums[0], value, where)
            return min((self.walk(one, value, where) for one in others), key=len)
        if origin is list:
            if not isinstance(value, list):
                return [f"{where}: {value!r} is no list"]
            return [p for i, item in enumerate(value) for p in self.walk(arguments[0], item, f"{where}[{i}]")]
        if origin is dict:
            if not isinstance(value, dict):
                return [f"{where}: {value!r} is no object"]
            return [p for name, item in value.items() for p in self.walk(arguments[1], item, f"{where}.{name}")]
        if isinstance(kind, type) and issubclass(kind, Model):
            return self.object(kind, value, where)
        return self.plain(kind, value, where)

    def object(self, model, value, where):
        if not isinstance(value, dict):
            return [f"{where}: {value!r} is no {model.__name__}"]
        fields, found = self.fields(model), []
        for name, item in value.items():
            if name in fields:
                found += self.walk(fields[name], item, f"{where}.{name}")
            elif name not in beyond.of(model.__name__):
                found.append(f"{where}.{name}: {model.__name__} has no such field")
        for name, kind in fields.items():
            required = type(None) not in typing.get_args(kind) or name in ("id", "name", "type") and "id" in fields
            if required and name not in value:
                found.append(f"{where}.{name}: is required by {model.__name__} and left out")
        return found

    def enumeration(self, kind, value, where):
        known = {member.value for member in kind}
        return [] if value in known else [f"{where}: {value!r} is none of {kind.__name__}: {sorted(known)}"]

    def plain(self, kind, value, where):
        wanted = {str: str, bool: bool, int: int, float: (int, float)}.get(kind)
        if wanted:
            right = isinstance(value, wanted) and (kind is bool or not isinstance(value, bool))
        elif kind is datetime.datetime:
            right = isinstance(value, str) and self.reads(kind, value)
        else:
            return [f"{where}: nobody has said here how a {kind} is read"]
        return [] if right else [f"{where}: {value!r} is no {kind.__name__}"]

    def reads(self, kind, value):
        """Whether the SDK itself can read a text as this."""
        try:
            return isinstance(_deserialize(kind, value), kind)
        except Exception:
            return False
