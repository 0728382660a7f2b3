#!/usr/bin/python3 -IS
"""Every hook tool: hands its command line to the controller and shows the answer.

The protocol is one line of JSON each way over the unit's socket. Request: `context` (JUJU_CONTEXT_ID), `argv`, `stdin`
(null unless an argument asks for it). Answer: `code`, `stdout`, `stderr`.
"""

from __future__ import annotations

import binascii
import json
import os
import socket
import sys

# A tool runs many times in a hook and must start fast: nothing more is imported, neither pathlib nor typing.


def main() -> None:
    """Run the tool that this file was called as."""
    name = sys.argv[0].rpartition("/")[2]
    try:
        arguments, text = read_file_option([with_file_content(word) for word in sys.argv[1:]])
        request = {"context": os.environ["JUJU_CONTEXT_ID"], "argv": [name, *arguments], "stdin": text}
        answer = ask(os.environ["JUJU_AGENT_SOCKET_ADDRESS"], request)
    except KeyError as missing:
        sys.exit(f"ERROR {name} works inside a hook only: {missing.args[0]} is not set")
    except (OSError, ValueError) as error:
        sys.exit(f"ERROR {name}: {error}")
    sys.stdout.write(answer["stdout"])
    sys.stderr.write(answer["stderr"])
    sys.exit(int(answer["code"]))


def with_file_content(word: str) -> str:
    """Replace `key#file=PATH`, the secret tools' way to name a file, by `key#base64=` and the file's content."""
    key, separator, path = word.partition("#file=")
    if not separator:
        return word
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib is slow to import
        return f"{key}#base64={binascii.b2a_base64(file.read(), newline=False).decode()}"


def read_file_option(words: list[str]) -> tuple[list[str], str | None]:
    """Read the file that `--file PATH` names (`-` is standard input); return the words with `-` for it, and its text."""
    for position, word in enumerate(words):
        option, separator, path = word.partition("=")
        if option == "--file":
            rest = words[position + 1 :]
            if not separator:
                path, rest = "".join(rest[:1]), rest[1:]
            with open(0 if path == "-" else path, encoding="utf-8") as file:  # noqa: PTH123 - as above
                return [*words[:position], "--file", "-", *rest], file.read()
    return words, None


def ask(address: str, request: dict[str, str | list[str] | None]) -> dict[str, str]:
    """Exchange one line of JSON with the controller."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(address)
        connection.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(connection.makefile("rb").readline())


if __name__ == "__main__":
    main()
