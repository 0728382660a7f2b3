"""Faults to plant in copies of the charms, one at a time: what a rehearsal is worth is what it finds of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from openinfra_model.rehearsal.faults import FAULTS

CEPH = "charms/ceph/src"
HOST = "charms/host/src"
MEMCACHED = "charms/memcached/src"
GATEWAY = "charms/gateway/src"
OVN = "charms/ovn-central/src"
KEYSTONE = "charms/keystone/src"
LIB = "lib/openinfra_charm/src/openinfra_charm"


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """A fault: the text of a file that is replaced, what the rehearsal is asked to do, and which invariants tell."""

    name: str
    file: str
    old: str
    new: str
    told_by: frozenset[str]
    do: tuple[str, ...] = ()
    bundle: str = "bundles/openinfra.yaml"
    charms: tuple[str, ...] = ("ceph", "host")
    """Those of the bundle's applications that are played; none: all."""
    faults: str = ",".join(FAULTS)
    """Those that may strike."""
    usual: bool = True
    """Whether operators have done what is usual, such as adding disks, before."""
    deployed_only: bool = False
    """Whether nobody does anything after the deployment."""


def _planted(name: str, file: str, old: str, new: str, told_by: str, *do: str) -> Planted:
    return Planted(name=name, file=file, old=old, new=new, told_by=frozenset(told_by.split()), do=do)


def _in_tls(
    name: str,
    file: str,
    old: str,
    new: str,
    told_by: str,
    *,
    faults: str,
    do: str = "run certificates/leader reissue",
) -> Planted:
    """Return a fault that is looked for where there are certificates, where only these faults strike."""
    planted = _planted(name, file, old, new, told_by, do)
    return replace(planted, charms=("memcached", "certificates"), faults=faults)


def _in_bundle(name: str, file: str, old: str, new: str, told_by: str, *do: str, **more: Any) -> Planted:
    """Return a fault that is looked for in another bundle, or another part of it, or where only some faults strike."""
    return replace(_planted(name, file, old, new, told_by, *do), **more)


ALONE = ("ceph",)
PARTS = "tests/rehearsal/bundles"
REPLACED = "remove-machine 1 --force; add-unit ceph"
RESTART = "config ceph osd-benchmark=false"

PLANTED = (
    _planted(
        "who founds the cluster is who leads now", f"{CEPH}/quorum.py",
        'founds_cluster=shared["founder"] == self.unit.name and "founded" not in shared',
        "founds_cluster=self.unit.is_leader()", "software converges",
    ),
    _planted(
        "a restart in every hook", f"{CEPH}/ceph.py",
        "return self.services.outdated(self._services())", "return self._services()", "needed-restarts silent converges",
    ),
    _planted(
        "a relation write is lost", f"{CEPH}/charm.py",
        "self.cluster.publish(monitor=True)", "pass", "software converges",
    ),
    _planted(
        "an OSD is purged without safe-to-destroy", f"{CEPH}/drain.py",
        "    while not is_safe_to_destroy(admin, numbers):", "    while False:",
        "software", "add-unit ceph", "run ceph/3 add-disk osd-devices=file:3G", "run ceph/1 remove-disk osd-ids=osd.1",
    ),
    _planted(
        "every OSD counts as safe to destroy", f"{CEPH}/safety.py",
        'return set(numbers) <= set(answer["safe_to_destroy"])', "return True",
        "software", "add-unit ceph", "run ceph/3 add-disk osd-devices=file:3G", "run ceph/1 remove-disk osd-ids=osd.1",
    ),
    _planted(
        "a rename without fsync", f"{LIB}/machine/files.py",
        "        self._sync(beside)\n", "", "whole-files",
    ),
    _planted(
        "a status without a reason", f"{CEPH}/charm.py",
        """ops.WaitingStatus(f"for {self.cluster.shared['founder']} to found the cluster")""", 'ops.WaitingStatus("")', "says-why",
    ),
    _planted(
        "an unordered collection is rendered", f"{CEPH}/ceph.py",
        "monitors=sorted({endpoint(member.public_address) for member in state.monitors})",
        "monitors=sorted({endpoint(member.public_address) for member in state.monitors}, key=lambda _: os.urandom(4))",
        "silent same-files converges",
    ),
    _planted(
        "two units restart at once", f"{CEPH}/restarts.py",
        'if not self._cluster.acquire_lock("restart"):\n                return waits or self._cluster.waits_for_lock("restart")\n            if why := self._why_not(due):',
        "if why := ():", "one-at-a-time", RESTART,
    ),
    _planted(
        "a key in relation data", f"{CEPH}/members.py",
        "hostname=hostname, public_address",
        'hostname=hostname, key=addresses._machine.read("/etc/ceph/ceph.client.admin.keyring"), public_address', "secret",
    ),
    _planted(
        "a key on a command line", f"{CEPH}/monitor.py",
        '"--keyring", f"{scratch}/keys",\n', '"--keyring", f"{scratch}/keys", state.identity.monitor_key,\n', "secret",
    ),
    _planted(
        "a keyring that everybody may read", f"{CEPH}/ceph.py",
        "File(path=KEYRING, content=keyring, mode=0o600)", "File(path=KEYRING, content=keyring)", "secret",
    ),
    _planted(
        "the time in a file", f"{CEPH}/ceph.py",
        "            config,\n            File(path=KEYRING",
        '            File(path=CONFIG, content=f"# {self.machine.now()}\\n{config.content}"),\n            File(path=KEYRING', "silent same-files converges",
    ),
    _planted(
        "a lock that is never released", f"{CEPH}/restarts.py",
        "            self._cluster.release_lock()", "            pass", "converges software done same-files", RESTART,
    ),
    _planted(
        "a peer that has said nothing yet", f"{LIB}/model/cluster.py",
        "return (unit for unit in self._cluster.units if unit in self)", "return iter(self._cluster.units)", "no-traceback",
    ),
    _in_bundle(
        "nobody looks again whether the software serves", f"{LIB}/model/retry.py",
        "        next_hook.ask(self._machine, self._unit, self._timer(now + pause), after=pause)", "        pass", "prompt",
        deployed_only=True,
    ),
    _planted(
        "an owner that stays", f"{HOST}/charm.py",
        "            registry.disclaim(self.machine, _BASELINE, self.unit.name)\n", "", "leaves-nothing",
        "remove-relation host:juju-info ceph:juju-info",
    ),
    _planted(
        "a hook that waits without end", f"{CEPH}/monitor.py",
        "wait_until(self.in_quorum, QUORUM_SECONDS)", "wait_until(self.in_quorum, float('inf'))", "patient",
    ),
    _planted(
        "a key in a status", f"{CEPH}/charm.py",
        "self._missing or self._report()", "self._missing or [ops.ActiveStatus(self.identities.current.admin_key)]", "secret",
    ),
    _planted(
        "a key in an action's result", f"{CEPH}/actions/cluster.py",
        "result=health)", "result={**health, 'key': charm.identities.current.admin_key})", "secret", "run ceph/0 get-health",
    ),
    _planted(
        "an old key that stays", f"{CEPH}/ceph.py",
        "            File(path=KEYRING, content=keyring, mode=0o600),",
        "            *([] if self.machine.exists(KEYRING) else [File(path=KEYRING, content=keyring, mode=0o600)]),",
        "rotated software converges", "run ceph/leader rotate-key entity=client.admin",
    ),
    _in_bundle(
        "a monitor that keeps the key which another took the place of", f"{CEPH}/key_upgrade.py",
        "        self._ceph.monitor.keep_key(identity.monitor_key)\n", "",
        "rotated", 'config ceph "source=deb http://ceph.example.org/debian forky main"', charms=ALONE, faults="leader",
    ),
    _in_tls(
        "a renewed certificate that is not read", f"{MEMCACHED}/memcached.py",
        '            self._ask("refresh_certs")\n', "", "certificates", faults="age",
    ),
    _in_tls(
        "a certificate that is not renewed", f"{LIB}/daemon/tls.py",
        "return now >= self.renew_at or not self._is_valid", "return False", "certificates converges", faults="age,outage",
    ),
    _in_tls(
        "a certificate that is not valid yet", f"{LIB}/daemon/tls.py",
        "return now >= self.renew_at or not self._is_valid", "return now >= self.renew_at", "certificates converges",
        faults="clock", do="add-unit memcached",
    ),
    _in_bundle(
        "a renewed certificate that Open vSwitch does not read", f"{OVN}/ovn_central.py",
        # Who is to join is let in by no member whose certificate has ended.
        "key_goes_last=True", "key_goes_last=False",
        "certificates converges", "run certificates/leader reissue", bundle=f"{PARTS}/ovn.yaml", charms=("certificates", "ovn-central"),
        faults="age", usual=False,
    ),
    _in_bundle(
        "members that are gone and linger", f"{OVN}/membership.py",
        "            for server in sorted(self._still_there(wanted, raft)):\n                raft.kick(server)\n", "",
        "software converges done", "remove-machine 1 --force; add-unit ovn-central", bundle=f"{PARTS}/ovn.yaml",
        charms=("certificates", "ovn-central"), faults="delay", usual=False,
    ),
    # Whom nobody serves any more
    _in_bundle(
        "the keys of all daemons go with one of them", f"{CEPH}/related_daemons.py",
        '            self._admin.command("auth rm", entity=entity)\n',
        '            for _, _, user in self._recorded():\n                self._admin.command("auth rm", entity=user)\n',
        "served", "remove-unit ceph-fs/0", charms=("ceph", "ceph-fs"), faults="leader,delay",
    ),
    _in_bundle(
        "a live user is disabled with a retired one", f"{KEYSTONE}/clients.py",
        """        for found in self._admin.find("users", name=user, domain_id=self._domain):
            self._admin.delete("users", found["id"])
""",
        """        for found in self._admin.find("users", domain_id=self._domain):
            self._admin.update("users", found["id"], enabled=False)
""",
        "served", "run keystone/leader rotate-service-password relation-id=relation:identity-service",
        bundle=f"{PARTS}/keystone.yaml", charms=(), faults="leader,delay",
    ),
    _in_bundle(
        "the new user is dropped, and not the old one", f"{LIB}/model/granted.py",
        "users[-1:], [*self._retired(int(number)), *users[:-1]])",
        "users[:1], [*self._retired(int(number)), *users[1:]])",
        "served", "run mysql/leader rotate-password relation-id=relation:database",
        bundle=f"{PARTS}/keystone.yaml", charms=("mysql", "keystone", "certificates"), faults="leader,delay",
    ),
    _in_bundle(
        "a route with one backend is dropped", f"{GATEWAY}/routes.py",
        "    for asked in state.routes:", "    for asked in (one for one in state.routes if len(one.backends) > 1):",
        "served", "remove-unit web/0", bundle=f"{PARTS}/gateway.yaml", charms=(), faults="leader,delay",
    ),
    # What is known by a name that is given again
    _in_bundle(
        "a disk of the dead one's name is taken for the dead one", f"{CEPH}/jobs.py",
        "        osd = ceph.osds.get(new)\n",
        """        osd = ceph.osds.get(old)
        if osd and osd.device == device:
            return f"osd.{osd.number} is on {device} now"
        osd = ceph.osds.get(new)
""",
        "software converges", charms=ALONE, faults="swap",
    ),
    _in_bundle(
        "the OSDs of a machine that is gone are those below its name", f"{CEPH}/removal.py",
        "    uuids = claims.read(admin, unit)\n",
        """    below = [node["children"] for node in admin.command("osd tree")["nodes"] if node["name"] == host]
    uuids = [osd["uuid"] for osd in admin.command("osd dump")["osds"] if osd["osd"] in sum(below, [])]
""",
        "software converges", REPLACED, "run ceph/3 add-disk osd-devices=file:3G", charms=ALONE, faults="leader,delay",
    ),
    _in_bundle(
        "what was done for a host is done for the next of its name", f"{LIB}/daemon/job.py",
        "(record.module, record.arguments) == (function, arguments)]",
        'record.module == function and record.arguments.get("host") == arguments.get("host")]',
        "software", REPLACED, "run ceph/3 add-disk osd-devices=file:3G",
        "remove-machine 3 --force; add-unit ceph", "run ceph/4 add-disk osd-devices=file:3G", charms=ALONE, faults="leader,delay",
    ),
    _in_bundle(
        "a job knows its OSD by number", f"{CEPH}/jobs.py",
        'osds.split(",")',
        '[osd.uuid for name in names.split(",") if (osd := ceph.osds.find(int(name)))]',
        "software", "run ceph/1 add-disk osd-devices=file:3G", "run ceph/1 remove-disk osd-ids=osd.1",
        charms=ALONE, faults="record",
    ),
    # Who is gone
    _in_bundle(
        "who was not met is gone", f"{LIB}/model/cluster.py",
        "return [unit for unit in unseen if unit not in self.planned]", "return unseen",
        "software converges", "add-unit ceph", charms=ALONE, faults="leader,delay",
    ),
    _in_bundle(
        "a founder that died is waited for", f"{CEPH}/quorum.py",
        'return "fsid" in shared and not (self.cluster.gone([shared["founder"]]) and self._is_lost)',
        'return "fsid" in shared', "converges", charms=ALONE, faults="lose,kill", deployed_only=True,
    ),
    # What a unit leaves that was given up
    _in_bundle(
        "an OSD of a unit that was given up comes up again", f"{CEPH}/removal.py",
        """        admin.command("osd set-group", flags="noup", who=[f"osd.{number}"])
""", "",
        "converges", "remove-unit ceph/1 --force", bundle=f"{PARTS}/shared.yaml", charms=(), faults="leader,delay",
    ),
    # What must not go now. Without disks: data that are not safe hold a unit that goes as well.
    _in_bundle(
        "a monitor goes though the cluster refuses it", f"{CEPH}/monitor.py",
        "    except CommandRefusedError:\n        others = [other for",
        "    except CommandRefusedError:\n        return None\n        others = [other for",
        "software", "remove-unit ceph/2", charms=ALONE, faults="away", usual=False,
    ),
    _in_bundle(
        "a monitor goes and the cluster is not asked", f"{CEPH}/monitor.py",
        '        admin.command("mon ok-to-rm", id=name)\n', "        pass\n",
        "software", "remove-unit ceph/2", charms=ALONE, faults="leader,delay", usual=False,
    ),
)  # fmt: skip
