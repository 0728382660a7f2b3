"""What is written in OVN's databases, compared with Neutron's: `python openinfra_ovn.py /etc/neutron/neutron.conf check`.

A release tree's Python runs it. `check` prints what is missing in OVN's databases or left over there, a JSON list of sentences, and changes
nothing; `repair` puts it right and prints what it found.

Neutron's own program for that (neutron-ovn-db-sync-util) ends with 0 whatever it finds, and tells it in its log alone. It also leaves alone what
is looked at here besides: floating IPs that are translated at another place than they should be, and what is left of chassis that are gone.
"""

import json
import logging
import sys

from neutron.cmd.ovn import neutron_ovn_db_sync_util as util
from neutron.common.ovn import constants
from neutron.conf.plugins.ml2.drivers.ovn import ovn_conf
from neutron.plugins.ml2.drivers.ovn.mech_driver.ovsdb import ovn_db_sync
from neutron_lib.plugins import directory


class Differences(logging.Handler):
    """Keeps what Neutron says of what it compares."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.found = []

    def emit(self, record):
        """Keep one sentence."""
        self.found.append(record.getMessage())


def compare(config, mode):
    """Let Neutron compare its database with OVN's; return what it has said, and its driver."""
    listener = Differences()
    # The module's logger keeps it, whatever is done to the root's when logging is set up.
    logging.getLogger(ovn_db_sync.__name__).addHandler(listener)
    sys.argv = ["openinfra_ovn.py", "--config-file", config, "--ovn-neutron_sync_mode", mode]
    util.main()
    return listener.found, directory.get_plugin().mechanism_manager.mech_drivers["ovn"].obj


def translations(northbound, *, distributed):
    """Yield of which floating IPs that lead to a port the machine that translates them is another one, and what sets that right."""
    for row in northbound.db_list_rows("NAT").execute(check_error=True):
        fixed = row.external_ids.get(constants.OVN_FIP_EXT_MAC_KEY, "")
        is_floating = constants.OVN_FIP_EXT_ID_KEY in row.external_ids and row.logical_port
        if not is_floating or not fixed:
            continue
        is_up = _is_up(northbound, row.logical_port[0])
        if distributed and is_up and not row.external_mac:
            words = f"floating IP {row.external_ip} is translated at the gateway and not at its guest"
            yield words, northbound.db_set("NAT", row.uuid, external_mac=fixed)
        elif not distributed and row.external_mac:
            words = f"floating IP {row.external_ip} is translated at its guest and not at the gateway"
            yield words, northbound.db_clear("NAT", row.uuid, "external_mac")


def _is_up(northbound, name):
    ports = northbound.db_find_rows("Logical_Switch_Port", ("name", "=", name)).execute(check_error=True)
    return any(port.up and port.up[0] for port in ports)


def remains(northbound, southbound):
    """Yield what is left of chassis that are gone, and what removes it."""
    known = {row.name for row in southbound.db_list_rows("Chassis").execute(check_error=True)}
    for row in southbound.db_list_rows("Chassis_Private").execute(check_error=True):
        if row.name not in known:
            words = f"chassis {row.name} is gone, but counts as alive"
            yield words, southbound.db_destroy("Chassis_Private", row.uuid)
    for group in northbound.db_list_rows("HA_Chassis_Group").execute(check_error=True):
        for member in group.ha_chassis:
            if member.chassis_name not in known:
                words = f"chassis {member.chassis_name} is gone, but has its place in {group.name}"
                command = northbound.ha_chassis_group_del_chassis(
                    group.name, member.chassis_name, if_exists=True
                )
                yield words, command


def check(config, *, repair):
    """Return what differs; with `repair` it does not any more."""
    found, driver = compare(config, "repair" if repair else "log")
    northbound, southbound = driver.nb_ovn, driver.sb_ovn
    distributed = ovn_conf.is_ovn_distributed_floating_ip()
    others = [*translations(northbound, distributed=distributed), *remains(northbound, southbound)]
    for words, command in others:
        if repair:
            command.execute(check_error=True)
        found.append(words)
    return found


if __name__ == "__main__":
    _, path, verb = sys.argv
    # Neutron logs to what it takes for the output.
    output, sys.stdout = sys.stdout, sys.stderr
    json.dump(check(path, repair=verb == "repair"), output)
