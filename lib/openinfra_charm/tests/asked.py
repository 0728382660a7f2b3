"""What a hook costs: the programs that it runs on its machine."""

import contextlib

SYSTEMD = ("service_states", "enabled_services", "outdated_programs")
"""Each is a run of systemctl, if it is about any unit."""
OTHERS = {"package_versions": "dpkg-query", "virtualization": "systemd-detect-virt", "addresses": "ip"}


@contextlib.contextmanager
def programs(machine):
    """Yield a list to which the names of all programs are added that are run on a machine in memory meanwhile."""
    ran = []

    def watch(name, program, *, always):
        method = getattr(machine, name)

        def watched(*args, **options):
            if always or args:
                ran.append(program)
            return method(*args, **options)

        return watched

    watched = {name: watch(name, "systemctl", always=False) for name in SYSTEMD}
    watched |= {name: watch(name, program, always=True) for name, program in OTHERS.items()}
    watched["run"] = lambda *argv, **options: (
        ran.append(argv[0]) or type(machine).run(machine, *argv, **options)
    )
    vars(machine).update(watched)
    try:
        yield ran
    finally:
        for name in watched:
            del vars(machine)[name]
