"""Have Nova know its two cells: `python cells.py /etc/nova/nova.conf`, with a release tree's Python. It can be repeated.

cell0 has what no host has taken; the configuration's section `cell0_database` leads to its database. cell1 has all hosts; what Nova knows of it are templates, which each
process fills from its own configuration, so that no password is in the database and a new one needs no change there.
"""

import configparser
import re
import sys

CELL1 = "cell1"
HOSTS = re.compile(r"@([^@,/]+)(?=[,/])")
"""The places in a URL that may name several, each with its user."""


def template_of(url):
    """Return the template of a URL: user, password, path and options are filled in by each process, the places are in it.

    Nova would take the places apart itself, and does so wrongly where they are IPv6 addresses.
    """
    # With several places only the numbered ones are the user's and the password's.
    number = "1" if "," in url.partition("?")[0] else ""
    places = ",".join(
        f"{{username{number}}}:{{password{number}}}@{place}" for place in HOSTS.findall(url.partition("?")[0])
    )
    return f"{{scheme}}://{places}/{{path}}{'?{query}' if '?' in url else ''}"


def main(path):
    """Make or change what differs."""
    # Imported here: tests have no Nova.
    import nova.conf  # noqa: PLC0415
    from oslo_utils import uuidutils  # noqa: PLC0415

    from nova import config, context, objects  # noqa: PLC0415

    parser = configparser.RawConfigParser(strict=False)
    parser.read(path)
    cell0 = parser["cell0_database"]["connection"]
    config.parse_args(["nova", f"--config-file={path}"])
    objects.register_all()
    admin = context.get_admin_context()
    zero = objects.CellMapping.CELL0_UUID
    wanted = {
        "cell0": {"uuid": zero, "transport_url": "none:///", "database_connection": cell0},
        CELL1: {
            "transport_url": template_of(nova.conf.CONF.transport_url),
            "database_connection": template_of(nova.conf.CONF.database.connection),
        },
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
