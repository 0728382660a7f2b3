#!/bin/sh
# Every hook tool, and juju-exec. What a tool takes is the start of its interpreter, and MicroPython's is a fifth of
# CPython's. CPython takes its place where a word is too long for it (255 bytes), and on a machine that has none.
# The heap is of 16 MiB, where 2 are usual: a secret is 1 MiB at most, relation data may be 2. Each start pays for more.
program=/var/lib/juju/tools/hook_tool.py
interpreter=/usr/bin/micropython
[ -x "$interpreter" ] || interpreter=
for word; do
    [ "${#word}" -le 255 ] || interpreter=
done
[ "$interpreter" ] && exec "$interpreter" -X heapsize=16m "$program" "$0" "$@"
exec /usr/bin/python3 -IS "$program" "$0" "$@"
