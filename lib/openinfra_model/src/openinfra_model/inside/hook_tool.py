#!/usr/bin/python3 -IS
"""Every hook tool: hands its command line to the controller and shows the answer.

The protocol is one line of JSON each way over the unit's socket. Request: `context` (JUJU_CONTEXT_ID), `argv`, `stdin`
(null unless an argument asks for it). Answer: `code`, `stdout`, `stderr`.
"""

from __future__ import annotations

import json
import os
import socket
import sys

# A tool runs many times in a hook and must start fast: nothing more is imported, neither pathlib nor typing.


def main() -> None:
    """Run the tool that this file was called as."""
    name = sys.argv[0].rpartition("/")[2]
    try:
        request = {
            "context": os.environ["JUJU_CONTEXT_ID"],
            "argv": [name, *map(with_file_content, sys.argv[1:])],
            "stdin": read_input(sys.argv[1:]),
        }
        answer = ask(os.environ["JUJU_AGENT_SOCKET_ADDRESS"], request)
    except KeyError as missing:
        sys.exit(f"ERROR {name} works inside a hook only: {missing.args[0]} is not set")
    except (OSError, ValueError) as error:
        sys.exit(f"ERROR {name}: {error}")
    sys.stdout.write(answer["stdout"])
    sys.stderr.write(answer["stderr"])
    sys.exit(int(answer["code"]))


def with_file_content(argument: str) -> str:
    """Replace `key#file=PATH`, the secret tools' way to name a file, by `key=` and the file's content."""
    key, separator, path = argument.partition("#file=")
    if not separator:
        return argument
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib is slow to import
        return f"{key}={file.read()}"


def read_input(arguments: list[str]) -> str | None:
    """Return the text of the file that `--file` names (`-` is standard input), or None."""
    for position, argument in enumerate(arguments):
        option, separator, path = argument.partition("=")
        if option == "--file":
            if not separator:
                path = "".join(arguments[position + 1 : position + 2])
            with open(0 if path == "-" else path, encoding="utf-8") as file:  # noqa: PTH123 - as above
                return file.read()
    return None


def ask(address: str, request: dict[str, str | list[str] | None]) -> dict[str, str]:
    """Exchange one line of JSON with the controller."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(address)
        connection.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(connection.makefile("rb").readline())


if __name__ == "__main__":
    main()
