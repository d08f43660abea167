"""The few fields of xDS requests that are looked at, for protobuf's parser in C.

The descriptors of the whole API would be some thousand messages; these keep its numbers and types, and leave out what
nobody here reads, which the parser then passes over. Where a field left out would be one of a ``oneof`` that has a
field of interest it stays, as bytes where its content does not matter: the last one of a ``oneof`` wins. A test
compares what these read with what the whole API's messages read.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_PACKAGE = "kuma.wire"
_KINDS = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
}

_STATUS = {"message": (2, "string")}
_VALUE = {
    "null_value": (1, "int32"),
    "number_value": (2, "double"),
    "string_value": (3, "string"),
    "bool_value": (4, "bool"),
    "struct_value": (5, "bytes"),
    "list_value": (6, "bytes"),
}
_STRUCT = {"fields": (1, "map Value")}
_NODE = {"id": (1, "string"), "metadata": (3, "Struct")}
_SOTW = {
    "version_info": (1, "string"),
    "node": (2, "Node"),
    "resource_names": (3, "repeated string"),
    "type_url": (4, "string"),
    "response_nonce": (5, "string"),
    "error_detail": (6, "Status"),
}
_DELTA = {
    "node": (1, "Node"),
    "type_url": (2, "string"),
    "resource_names_subscribe": (3, "repeated string"),
    "resource_names_unsubscribe": (4, "repeated string"),
    "initial_resource_versions": (5, "map string"),
    "response_nonce": (6, "string"),
    "error_detail": (7, "Status"),
}


def _message(name: str, fields: dict[str, tuple[int, str]], oneof: str = "") -> DescriptorProto:
    """A message of these fields, by number and type; all of them are alternatives if ``oneof`` names them."""
    message = DescriptorProto(name=name)
    for field_name, (number, said) in fields.items():
        qualifier, _, kind = said.rpartition(" ")
        field = _field(message, field_name, number, kind)
        if qualifier:
            field.label = FieldDescriptorProto.LABEL_REPEATED
        if qualifier == "map":
            entry = message.nested_type.add(name=f"{field_name.title().replace('_', '')}Entry")
            entry.options.map_entry = True
            _field(entry, "key", 1, "string")
            _field(entry, "value", 2, kind)
            field.type, field.type_name = (
                FieldDescriptorProto.TYPE_MESSAGE,
                f".{_PACKAGE}.{name}.{entry.name}",
            )
        if oneof:
            field.oneof_index = 0
    if oneof:
        message.oneof_decl.add(name=oneof)
    return message


def _field(message: DescriptorProto, name: str, number: int, kind: str) -> FieldDescriptorProto:
    field = message.field.add(name=name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
    if kind in _KINDS:
        field.type = _KINDS[kind]
    else:
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    return field


def _classes() -> tuple[Any, Any]:
    file = FileDescriptorProto(name="kuma/wire.proto", package=_PACKAGE, syntax="proto3")
    file.message_type.extend(
        [
            _message("Status", _STATUS),
            _message("Value", _VALUE, oneof="kind"),
            _message("Struct", _STRUCT),
            _message("Node", _NODE),
            _message("DiscoveryRequest", _SOTW),
            _message("DeltaDiscoveryRequest", _DELTA),
        ]
    )
    pool = DescriptorPool()  # of our own: the whole API may be in the default one
    pool.Add(file)
    found = (
        pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")
        for name in ("DiscoveryRequest", "DeltaDiscoveryRequest")
    )
    sotw, delta = (GetMessageClass(descriptor) for descriptor in found)
    return sotw, delta


DiscoveryRequest, DeltaDiscoveryRequest = _classes()
