"""A program: whether QEMU runs a guest with KVM here, and how long that takes beside TCG; it prints JSON.

    python3 probe.py qemu-system-x86_64

That `/dev/kvm` is there and can be opened says little: a KVM within another hypervisor may take a guest and run it for ever, or so
slowly that it is of no use. So a guest of a few instructions is run: it loops 20 million times, asks for the CPU's features, which leaves it for
the hypervisor, and ends QEMU.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KVM_SECONDS, TCG_SECONDS = 5, 30
# A boot sector: it maps its first 2 MiB, enters long mode (cr4.PAE, EFER.LME, cr0.PG), counts %ecx down from 20 000 000, runs cpuid and
# writes 0x10 to port 0xf4, at which QEMU ends with (0x10 << 1) | 1.
_X86 = (
    bytes.fromhex(
        "fa31c08ed88ec08ed0bc007cfc66bf001000000f22df6631c0b9000c66f3ab66c70600100320000066c70600200330000066c706003083000000"
        "e4920c02e6920f20e06683c8200f22e066b9800000c00f32660d000100000f300f20c0660d010000800f22c0660f0116987c66ea747c00000800"
        "b9002d3101ffc975fc31c00fa2b010e6f4f4ebfd0000000000000000ffff0000009aaf000f00887c"
    ).ljust(510, b"\0")
    + b"\x55\xaa"
)
_X86_ENDS = 33
# Instructions for a CPU that starts at their address: x1 is counted down from 20 000 000, then the firmware (PSCI, by hvc) is told to
# power off.
_ARM = b"".join(
    word.to_bytes(4, "little")
    for word in (
        0xD2A02621,
        0xF285A001,
        0xF1000421,
        0x54FFFFE1,
        0x52800100,
        0x72B08000,
        0xD4000002,
        0x14000000,
    )
)
_ARM_ADDRESS = "0x40200000"


def command(program: str, accelerator: str, image: str) -> list[str]:
    """Return how QEMU runs the guest in the file `image`."""
    cpu = "host" if accelerator == "kvm" else "max"
    common = [
        program, "-accel", accelerator, "-cpu", cpu, "-m", "64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
    ]  # fmt: skip
    if program.endswith("x86_64"):
        drive, end = f"file={image},format=raw,if=ide", "isa-debug-exit,iobase=0xf4,iosize=1"
        return [*common, "-machine", "pc", "-drive", drive, "-device", end]
    loader = f"loader,file={image},addr={_ARM_ADDRESS},force-raw=on,cpu-num=0"
    return [*common, "-machine", "virt", "-device", loader]


def run(program: str, accelerator: str, seconds: float) -> tuple[float | None, str]:
    """Run the guest; return how long it took, None where it did not come to its end, and why."""
    is_x86 = program.endswith("x86_64")
    with tempfile.NamedTemporaryFile() as image:
        Path(image.name).write_bytes(_X86 if is_x86 else _ARM)
        began = time.monotonic()
        try:
            ran = subprocess.run(
                command(program, accelerator, image.name), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                errors="replace", timeout=seconds, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None, f"the guest did not end within {seconds:g} s"
        if ran.returncode == (_X86_ENDS if is_x86 else 0):
            return time.monotonic() - began, ""
        said = ran.stderr.strip().splitlines()
        return None, said[0] if said else f"QEMU ended with exit code {ran.returncode}"


def main(program: str) -> int:
    """Print what was found."""
    if Path("/dev/kvm").exists():
        kvm, why = run(program, "kvm", KVM_SECONDS)
    else:
        kvm, why = None, "there is no /dev/kvm"
    tcg, _ = run(program, "tcg", TCG_SECONDS)
    sys.stdout.write(f"{json.dumps({'kvm': kvm, 'tcg': tcg, 'why': why})}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
