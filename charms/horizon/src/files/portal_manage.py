"""Django's commands, with the portal's settings: `python portal_manage.py /etc/horizon/horizon.conf migrate`."""

import os
import sys


def main(config_path, *arguments):
    """Run a command."""
    os.environ |= {"OPENINFRA_CONFIG": config_path, "DJANGO_SETTINGS_MODULE": "portal_settings"}
    # Django finds its settings when it is imported.
    from django.core import management  # noqa: PLC0415

    management.execute_from_command_line(["horizon", *arguments])


if __name__ == "__main__":
    main(*sys.argv[1:])
