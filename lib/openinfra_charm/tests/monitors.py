"""A Ceph that gives daemons of other applications what they ask for: for tests of their charms."""

import json

from ops import testing

FSID = "fsid-1"


def relation(number):
    """Return the relation to it, as it is before it has answered anything."""
    return testing.Relation("ceph", id=number, remote_app_name="ceph")


def answer(model, number):
    """Answer what units have asked for, each with a key of its own; return whether there was something new."""
    before = model.relations[number]
    for unit in model.unit_data:
        asked = model.local.get((number, unit), {}).get("broker_req")
        if not asked:
            continue
        name = f"{model.application}-{unit}"
        if f"secret-key-{name}" not in model.relations[number].remote_app_data:
            secret = testing.Secret({"key": f"cephx-key-{unit}"}, owner=None)
            model.secrets |= {secret}
            model.readers[secret.id] = unit
            model.tell(number, {f"secret-key-{name}": secret.id})
        done = {"api-version": 1, "exit-code": 0, "request-id": json.loads(asked)["request-id"]}
        told = {"fsid": FSID, "auth": "cephx", "ceph-public-address": "10.0.0.1"}
        model.tell(number, unit={**told, f"broker-rsp-{name}": json.dumps(done)})
    return model.relations[number] != before
