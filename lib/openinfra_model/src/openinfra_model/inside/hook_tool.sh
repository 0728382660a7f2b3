#!/bin/sh
# Every hook tool, and juju-exec. What a tool takes is the start of its interpreter, and MicroPython's is a fifth of
# CPython's; a machine that was made without it can do without. A heap of 64 MiB, where 2 are usual: secrets may be large.
program=/var/lib/juju/tools/hook_tool.py
[ -x /usr/bin/micropython ] && exec /usr/bin/micropython -X heapsize=64m "$program" "$0" "$@"
exec /usr/bin/python3 -IS "$program" "$0" "$@"
