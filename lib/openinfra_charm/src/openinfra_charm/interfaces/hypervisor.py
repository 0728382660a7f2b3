"""The `hypervisor` interface (container scope): what the machine's hypervisor tells a service that keeps guests on it.

Ours. The provider's unit writes, in its unit data, the fields of `Hypervisor` under their names with dashes; what is empty is not written.
A requirer is a subordinate, and reads its principal's data only (`openinfra_charm.model.hook.principal`): Juju may show it all units
of its principal's application.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from openinfra_charm.model import databag, hook
from openinfra_charm.model.databag import Form

if TYPE_CHECKING:
    import ops

KINDS = ("kvm", "qemu")
_FORMS = {
    "hostname": Form(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?", "a host's name"),
    "virt-type": Form("|".join(KINDS), "kvm or qemu"),
    "cpu-mode": Form(r"host-model|host-passthrough|maximum|custom|none", "a CPU mode of libvirt"),
    "cpu-model": Form(r"[A-Za-z0-9._-]*", "a CPU model of libvirt"),
    "tls-folder": Form(r"/[A-Za-z0-9._/-]*", "a path"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Hypervisor:
    """A hypervisor, as it tells what keeps guests on it.

    `virt_type` is `kvm`, or `qemu` where guests are emulated (TCG). `tls_folder` has `ca-cert.pem`, and certificate and key of a
    server and a client, as QEMU names them. What is `reserved` is the host's own: MiB of memory, GiB of disks, CPUs, huge pages.
    """

    hostname: str
    virt_type: str
    cpu_mode: str
    migration_address: str
    console_address: str
    tls_folder: str
    cpu_model: str = ""
    cpu_dedicated_set: str = ""
    cpu_shared_set: str = ""
    reserved_memory: str = ""
    reserved_disk: str = ""
    reserved_cpus: str = ""
    reserved_huge_pages: str = ""


_NAMES = {field.name: field.name.replace("_", "-") for field in fields(Hypervisor)}


def publish(relation: ops.Relation, unit: ops.Unit, hypervisor: Hypervisor) -> None:
    """As the provider's unit, tell what the hypervisor is."""
    for name, key in _NAMES.items():
        databag.put(relation.data[unit], key, getattr(hypervisor, name))


def read(relation: ops.Relation) -> Hypervisor | None:
    """As a unit of the requirer, return what the hypervisor of this machine is; None until it has told.

    Raises:
        RelationError: It has told what cannot be used.
    """
    unit = hook.principal(relation)
    if unit is None:
        return None
    data = relation.data[unit]
    said = {name: data.get(key, "") for name, key in _NAMES.items()}
    if not said["hostname"] or not said["virt_type"]:
        return None
    for key, form in _FORMS.items():
        databag.check(relation, form, {key: data.get(key, "")})
    others = {key: data.get(key, "") for key in _NAMES.values() if key not in _FORMS}
    databag.check(relation, databag.LINE, others)
    return Hypervisor(**said)
