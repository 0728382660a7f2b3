"""Have Nova know its two cells: `python cells.py /etc/nova/nova.conf URL`, with a release tree's Python. It can be repeated.

cell0 has what no host has taken; URL leads to its database. cell1 has all hosts; what Nova knows of it are templates, which each
process fills from its own configuration, so that no password is in the database and a new one needs no change there.
"""

import sys

import nova.conf
from nova import config, context, objects
from oslo_utils import uuidutils

CELL1 = "cell1"
DATABASE = "{scheme}://{username}:{password}@{hostname}:{port}/{path}?{query}"


def broker_of(url):
    """Return the template of a broker's URL: one place for each of its machines."""
    hosts = url.partition("://")[2].rpartition("/")[0].count(",") + 1
    numbers = [str(number) for number in range(1, hosts + 1)] if hosts > 1 else [""]
    places = (f"{{username{n}}}:{{password{n}}}@{{hostname{n}}}:{{port{n}}}" for n in numbers)
    return f"{{scheme}}://{','.join(places)}/{{path}}"


def main(path, cell0):
    """Make or change what differs."""
    config.parse_args(["nova", f"--config-file={path}"])
    objects.register_all()
    admin = context.get_admin_context()
    zero = objects.CellMapping.CELL0_UUID
    wanted = {
        "cell0": {"uuid": zero, "transport_url": "none:///", "database_connection": cell0},
        CELL1: {"transport_url": broker_of(nova.conf.CONF.transport_url), "database_connection": DATABASE},
    }
    # As they are, not as this process would fill them.
    rows = objects.CellMappingList._get_all_from_db(admin)  # noqa: SLF001
    known = {"cell0" if row.uuid == zero else row.name: row for row in rows}
    for name, values in wanted.items():
        row = known.get(name)
        if row is None:
            values.setdefault("uuid", uuidutils.generate_uuid())
            objects.CellMapping._create_in_db(admin, {"name": name, "disabled": False, **values})  # noqa: SLF001
        elif changed := {key: value for key, value in values.items() if row[key] != value}:
            objects.CellMapping._save_in_db(admin, row.uuid, changed)  # noqa: SLF001


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
