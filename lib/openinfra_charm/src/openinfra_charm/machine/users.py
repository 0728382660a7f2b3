"""System users."""

from __future__ import annotations

import contextlib
import pwd

from openinfra_charm.machine.processes import Processes


class Users(Processes):
    """The machine's users."""

    def make_user(self, name: str, home: str) -> bool:
        """Make a system user, and a group of its own, that nobody can log in as; return whether there was none."""
        try:
            pwd.getpwnam(name)
        except KeyError:
            shell = "/usr/sbin/nologin"
            self.run("useradd", "--system", "--user-group", "--home-dir", home, "--shell", shell, name)
            return True
        return False

    def remove_user(self, name: str) -> None:
        """Remove a user and its group, if it is there; its files stay."""
        with contextlib.suppress(KeyError):
            pwd.getpwnam(name)
            self.run("userdel", name)
