"""Where copies are put: failure domains, what a change of them would move, and whether OSDs can be spared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from admin import Admin
    from openinfra_charm.machine import Machine

REPLICATED = 1
"""A pool's type (Ceph: src/osd/osd_types.h, `TYPE_REPLICATED`)."""
FULL = 0.85
"""The share of use above which Ceph warns that an OSD is nearly full (mon_osd_nearfull_ratio)."""
DEFAULT_RULE = "osd_pool_default_crush_rule"
"""Ceph's option for the rule of new pools: its number, -1 for the first (Ceph: src/common/options/global.yaml.in)."""
SCRATCH = "/var/lib/ceph/openinfra/crush"


class CrushError(Exception):
    """A change that the cluster cannot take; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """How much data a change would move, in bytes, of how much there is."""

    moved: int
    total: int

    def __str__(self) -> str:
        share = 100 * self.moved / self.total if self.total else 0
        return f"{self.moved / (1 << 20):.0f} MiB of {self.total / (1 << 20):.0f} MiB ({share:.0f} %)"


def rules(admin: Admin) -> list[dict[str, Any]]:
    """Return the rules: id, name, failure domain, device class (empty: any) and the names of the pools that use each."""
    pools = pools_of(admin)
    return [
        {
            "id": rule["rule_id"],
            "name": rule["rule_name"],
            "failure-domain": next((s["type"] for s in rule["steps"] if s["op"].startswith("choose")), "osd"),
            "device-class": next((s["item_name"] for s in rule["steps"] if s["op"] == "take"), "").partition(
                "~"
            )[2],
            "pools": sorted(pool["pool_name"] for pool in pools if pool["crush_rule"] == rule["rule_id"]),
        }
        for rule in admin.command("osd crush rule dump")
    ]


def pools_of(admin: Admin) -> list[dict[str, Any]]:
    """Return the pools as Ceph describes them."""
    return admin.command("osd pool ls", detail="detail")


def domains(
    admin: Admin, kind: str, without: Iterable[int] = (), device_class: str = ""
) -> dict[str, list[int]]:
    """Return the domains of a kind (`host`, `rack`, ...) that have OSDs in use, with the OSDs' numbers.

    Args:
        admin: The cluster.
        kind: The kind of CRUSH bucket, or `osd`.
        without: OSDs that do not count.
        device_class: Only OSDs of this class count; empty: all.
    """
    nodes = {node["id"]: node for node in admin.command("osd tree")["nodes"]}
    left_out = set(without)

    def leaves(node: dict[str, Any]) -> list[int]:
        if node["type"] == "osd":
            usable = node["crush_weight"] > 0 and node["reweight"] > 0 and node["id"] not in left_out
            fits = device_class in {"", node.get("device_class", "")}
            return [node["id"]] if usable and fits else []
        return sorted(leaf for child in node.get("children", ()) for leaf in leaves(nodes[child]))

    found = {node["name"]: leaves(node) for node in nodes.values() if node["type"] == kind}
    return {name: osds for name, osds in found.items() if osds}


def check_spare(admin: Admin, numbers: list[int]) -> Move:
    """Return how much data would move off OSDs if they were drained.

    Raises:
        CrushError: The OSDs that remain are too few, or too small, for the data.
    """
    known = {rule["id"]: rule for rule in rules(admin)}
    for pool in pools_of(admin):
        rule = known[pool["crush_rule"]]
        kind = rule["failure-domain"]
        left = len(domains(admin, kind, numbers, rule["device-class"]))
        if left < pool["size"]:
            raise CrushError(
                f"pool {pool['pool_name']} keeps {pool['size']} copies on different {kind}s, and {left} would be left: "
                "add disks first (add-disk), or let it keep fewer copies"
            )
    usage = admin.command("osd df")["nodes"]
    moved = sum(node["kb_used_data"] for node in usage if node["id"] in numbers)
    rest = [node for node in usage if node["id"] not in numbers and node["reweight"] > 0]
    used, room = sum(node["kb_used"] for node in rest) + moved, sum(node["kb"] for node in rest)
    if used > FULL * room:
        raise CrushError(
            f"the OSDs that remain would be {100 * used / max(room, 1):.0f} % full: add disks first (add-disk)"
        )
    return Move(moved=moved << 10, total=sum(node["kb_used_data"] for node in usage) << 10)


def plan_failure_domain(machine: Machine, admin: Admin, kind: str) -> Move:
    """Return how much data would move if all replicated pools put their copies on different domains of a kind.

    Ceph's own mapping is asked, on a copy of the CRUSH map; the cluster is not changed.

    Raises:
        CrushError: There are fewer such domains than copies.
    """
    classes = {rule["id"]: rule["device-class"] for rule in rules(admin)}
    replicated = [pool for pool in pools_of(admin) if pool["type"] == REPLICATED]
    for pool in replicated:
        device_class = classes[pool["crush_rule"]]
        there = domains(admin, kind, device_class=device_class)
        if len(there) < pool["size"]:
            such = f"{kind}s with OSDs{f' of class {device_class}' if device_class else ''}"
            raise CrushError(
                f"pool {pool['pool_name']} keeps {pool['size']} copies, and there are {len(there)} {such}"
            )
    stored = {pool["name"]: pool["stats"]["bytes_used"] for pool in admin.command("df")["pools"]}
    total = moved = 0
    machine.make_folder(SCRATCH, mode=0o700)
    try:
        machine.run("ceph", "osd", "getcrushmap", "-o", f"{SCRATCH}/now", timeout=20)
        planned_id = max(classes, default=-1) + 1
        for device_class in sorted({classes[pool["crush_rule"]] for pool in replicated}):
            only = ("--device-class", device_class) if device_class else ()
            machine.run(
                "crushtool", "-i", f"{SCRATCH}/now", "--create-replicated-rule", "planned", "default", kind, *only,
                "-o", f"{SCRATCH}/planned",
            )  # fmt: skip
            for pool in [pool for pool in replicated if classes[pool["crush_rule"]] == device_class]:
                now = _mapping(machine, pool, pool["crush_rule"])
                then = _mapping(machine, pool, planned_id)
                copies = sum(len(osds) for osds in then.values()) or 1
                stay = sum(len(set(osds) & set(now.get(group, ()))) for group, osds in then.items())
                used = stored.get(pool["pool_name"], 0)
                total += used
                moved += round(used * (copies - stay) / copies)
    finally:
        machine.remove(SCRATCH)
    return Move(moved=moved, total=total)


def set_failure_domain(admin: Admin, kind: str) -> None:
    """Let all replicated pools, and those to come, put their copies on different domains of a kind.

    Pools on OSDs of a device class stay on these.
    """
    known = {rule["id"]: rule for rule in rules(admin)}
    default = rule_for(admin, kind)
    number = next(rule["id"] for rule in rules(admin) if rule["name"] == default)
    admin.command("config set", who="global", name=DEFAULT_RULE, value=str(number))
    for pool in pools_of(admin):
        now = known[pool["crush_rule"]]
        if pool["type"] == REPLICATED and now["failure-domain"] != kind:
            wanted = rule_for(admin, kind, now["device-class"])
            admin.command("osd pool set", pool=pool["pool_name"], var="crush_rule", val=wanted)


def rule_for(admin: Admin, kind: str = "", device_class: str = "") -> str:
    """Return the name of the rule for copies on different domains, which is made if there is none.

    Args:
        admin: The cluster.
        kind: The kind of domain; empty: that of new pools.
        device_class: Only OSDs of this class; empty: all.
    """
    known = rules(admin)
    if not kind:
        number = admin.command("config get", who="mon", key=DEFAULT_RULE)
        default = next(
            (rule for rule in known if str(rule["id"]) == str(number)), known[0] if known else None
        )
        kind = default["failure-domain"] if default else "host"
    name = "-".join(filter(None, ("replicated", kind, device_class)))
    if name not in {rule["name"] for rule in known}:
        wanted = {"name": name, "root": "default", "type": kind} | (
            {"class": device_class} if device_class else {}
        )
        admin.command("osd crush rule create-replicated", **wanted)
    return name


def _mapping(machine: Machine, pool: dict[str, Any], rule: int) -> dict[int, list[int]]:
    """Return on which OSDs a rule puts each of a pool's placement groups (crushtool(8), --show-mappings)."""
    shown = machine.run(
        "crushtool", "-i", f"{SCRATCH}/planned", "--test", "--show-mappings", "--rule", str(rule),
        "--num-rep", str(pool["size"]), "--pool-id", str(pool["pool_id"]), "--min-x", "0",
        "--max-x", str(pool["pg_placement_num"] - 1),
    )  # fmt: skip
    lines = re.findall(r"^CRUSH rule \d+ x (\d+) \[([\d,]*)\]", shown.stdout + shown.stderr, re.MULTILINE)
    return {int(group): [int(osd) for osd in osds.split(",") if osd] for group, osds in lines}
