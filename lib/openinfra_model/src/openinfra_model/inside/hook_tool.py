#!/usr/bin/python3 -IS
"""Every hook tool, and juju-exec: hands its command line to the controller and shows the answer.

Both messages are netstrings (https://cr.yp.to/proto/netstrings.txt) up to the end of the stream. The question is the
hook's context (JUJU_CONTEXT_ID; empty for juju-exec, which works anywhere on the machine), the text for standard input,
the tool's name and its arguments; the answer is the exit code, standard output and standard error.
"""

from __future__ import annotations

# A hook runs dozens of tools: what they import is half of their time. socket, json and pathlib would double it.
import _socket
import binascii
import os
import sys

MACHINE_SOCKET = "/var/lib/juju/controller.socket"


def main() -> None:
    """Run the tool that this file was called as."""
    name = sys.argv[0].rpartition("/")[2]
    try:
        arguments, text = read_file_option([with_file_content(word) for word in sys.argv[1:]])
        if name == "juju-exec":
            context, address = "", MACHINE_SOCKET
        else:
            context, address = os.environ["JUJU_CONTEXT_ID"], os.environ["JUJU_AGENT_SOCKET_ADDRESS"]
        code, output, errors = ask(address, [context, text, name, *arguments])
    except KeyError as missing:
        sys.exit(f"ERROR {name} works inside a hook only: {missing.args[0]} is not set")
    except (OSError, ValueError) as error:
        sys.exit(f"ERROR {name}: {error}")
    sys.stdout.write(output)
    sys.stderr.write(errors)
    sys.exit(int(code))


def with_file_content(word: str) -> str:
    """Replace `key#file=PATH`, the secret tools' way to name a file, by `key#base64=` and the file's content."""
    key, separator, path = word.partition("#file=")
    if not separator:
        return word
    with open(path, "rb") as file:  # noqa: PTH123 - see the imports
        return f"{key}#base64={binascii.b2a_base64(file.read(), newline=False).decode()}"


def read_file_option(words: list[str]) -> tuple[list[str], str]:
    """Read the file that `--file PATH` names (`-` is standard input); return the words with `-` for it, and its text."""
    for position, word in enumerate(words):
        option, separator, path = word.partition("=")
        if option == "--file":
            rest = words[position + 1 :]
            if not separator:
                path, rest = "".join(rest[:1]), rest[1:]
            with open(0 if path == "-" else path, encoding="utf-8") as file:  # noqa: PTH123 - see the imports
                return [*words[:position], "--file", "-", *rest], file.read()
    return words, ""


def ask(address: str, question: list[str]) -> list[str]:
    """Exchange one question and answer with the controller."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.connect(address)
    connection.sendall(encode(question))
    connection.shutdown(_socket.SHUT_WR)
    answer = b""
    while chunk := connection.recv(65536):
        answer += chunk
    if not answer:
        raise ConnectionError("the controller went away")
    return decode(answer)


def encode(fields: list[str]) -> bytes:
    """Write texts as netstrings."""
    return b"".join(
        b"%d:%b," % (len(data), data) for data in (field.encode(errors="surrogateescape") for field in fields)
    )


def decode(message: bytes) -> list[str]:
    """Read netstrings.

    Raises:
        ValueError: they are malformed or cut off.
    """
    fields: list[str] = []
    while message:
        size, _, rest = message.partition(b":")
        end = int(size)
        if rest[end : end + 1] != b",":
            raise ValueError("a netstring does not end where it says")
        fields.append(rest[:end].decode(errors="surrogateescape"))
        message = rest[end + 1 :]
    return fields


if __name__ == "__main__":
    main()
