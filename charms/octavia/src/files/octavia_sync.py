"""Write into OVN's northbound database what Octavia's has: `python octavia_sync.py --config-file=/etc/octavia/octavia.conf`."""

import octavia_ovn  # noqa: F401  before the provider is set up
from ovn_octavia_provider.cmd.octavia_ovn_db_sync_util import main

if __name__ == "__main__":
    main()
