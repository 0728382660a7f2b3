"""Every hook tool, and juju-exec: hands its command line to the controller and shows the answer.

Run as: hook_tool.py PATH-OF-THE-TOOL ARGUMENT... (hook_tool.sh does). MicroPython and CPython both understand this file;
where they differ, a comment says so.

Question and answer are one netstring each (https://cr.yp.to/proto/netstrings.txt), which holds one for each field. The
question's are the hook's context (JUJU_CONTEXT_ID; empty for juju-exec, which works anywhere on the machine), the text
for standard input, the tool's name and its arguments; the answer's are the exit code, standard output and standard error.
"""

# MicroPython has no pathlib, no unpacking in a list, no cause of an exception, and no `from __future__`.
# ruff: noqa: B904, PTH123, RUF005
import binascii
import os
import socket
import struct
import sys

MACHINE_SOCKET = "/var/lib/juju/controller.socket"


def main() -> None:
    """Run the tool that the first argument is the path of."""
    name = sys.argv[1].rpartition("/")[2]
    try:
        code, output, errors = run(name, sys.argv[2:])
    except (OSError, ValueError) as error:
        code, output, errors = b"1", b"", f"ERROR {name}: {error}\n".encode()
    sys.stdout.buffer.write(output)
    sys.stderr.buffer.write(errors)
    sys.exit(int(code))


def run(name: str, words: list[str]) -> list[bytes]:
    """Have the controller run a tool; return its exit code, output and errors.

    Raises:
        OSError: the controller does not answer.
        ValueError: a file that the words name cannot be read, or the tool is run outside of a hook.
    """
    arguments, text = read_file_option([with_file_content(word) for word in words])
    if name == "juju-exec":
        context, address = "", MACHINE_SOCKET
    else:
        context, address = variable("JUJU_CONTEXT_ID"), variable("JUJU_AGENT_SOCKET_ADDRESS")
    return ask(address, [context, text, name] + arguments)


def variable(name: str) -> str:
    """Return a variable of a hook's environment."""
    value = os.getenv(name)
    if value is None:
        raise ValueError(f"works inside a hook only: {name} is not set")
    return value


def with_file_content(word: str) -> str:
    """Replace `key#file=PATH`, the secret tools' way to name a file, by `key#base64=` and the file's content."""
    key, separator, path = word.partition("#file=")
    if not separator:
        return word
    return f"{key}#base64={binascii.b2a_base64(content_of(path), newline=False).decode()}"


def read_file_option(words: list[str]) -> tuple[list[str], str]:
    """Read the file that `--file PATH` names (`-` is standard input); return the words with `-` for it, and its text."""
    for position, word in enumerate(words):
        option, separator, path = word.partition("=")
        if option == "--file":
            rest = words[position + 1 :]
            if not separator:
                path, rest = "".join(rest[:1]), rest[1:]
            content = sys.stdin.buffer.read() if path == "-" else content_of(path)
            return words[:position] + ["--file", "-"] + rest, as_text(content, path)
    return words, ""


def as_text(content: bytes, path: str) -> str:
    """Return the text that a file holds."""
    try:
        return content.decode()
    except UnicodeError:
        raise ValueError(f"cannot read {path}: it is not UTF-8")


def content_of(path: str) -> bytes:
    """Read a file that the command line names."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error}")


def ask(address: str, question: list[str]) -> list[bytes]:
    """Exchange one question and answer with the controller.

    Raises:
        OSError: the controller is not there, or goes away.
        ValueError: what it says is no answer.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(place(address))
    unsent = encode(question)
    while unsent:
        unsent = unsent[connection.send(unsent) :]
    answer: list[bytes] = []
    while part := connection.recv(65536):
        answer.append(part)
    if not answer:
        raise OSError("the controller went away")
    return decode(b"".join(answer))


def place(path: str) -> "str | bytes":
    """Return a unix socket's address as `connect` wants it: MicroPython's takes C's structure."""
    if sys.implementation.name == "micropython":
        return struct.pack("H", socket.AF_UNIX) + path.encode() + b"\0"
    return path


def to_bytes(text: str) -> bytes:
    """Return a word of the command line as it was given, also where it is no UTF-8; MicroPython's words are bytes."""
    return text.encode() if sys.implementation.name == "micropython" else os.fsencode(text)


def encode(fields: list[str]) -> bytes:
    """Write fields as netstrings in one."""
    return netstring(b"".join([netstring(to_bytes(field)) for field in fields]))


def netstring(data: bytes) -> bytes:
    """Write one netstring."""
    return b"".join([str(len(data)).encode(), b":", data, b","])


def decode(message: bytes) -> list[bytes]:
    """Read what `encode` wrote, each field as its bytes.

    Raises:
        ValueError: it is malformed or cut off.
    """
    outer = netstrings(message)
    if len(outer) != 1:
        raise ValueError("a message is one netstring")
    return netstrings(outer[0])


def netstrings(data: bytes) -> list[bytes]:
    """Read netstrings.

    Raises:
        ValueError: they are malformed or cut off.
    """
    fields: list[bytes] = []
    while data:
        size, _, rest = data.partition(b":")
        end = int(size)
        if rest[end : end + 1] != b",":
            raise ValueError("a netstring does not end where it says")
        fields.append(rest[:end])
        data = rest[end + 1 :]
    return fields


if __name__ == "__main__":
    main()
