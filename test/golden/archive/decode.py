"""An n3b block as lines of JSON: an independent reader, written from docs/archive-format.md.

    decode.py BLOCK [ZSTD_COMMAND ...]

ZSTD_COMMAND reads one zstd frame and writes what it holds; it is asked where this Python has no zstd of its own.
"""

import base64
import gzip
import hashlib
import json
import struct
import subprocess
import sys
import zlib

MAGIC = b"\x8eN3B\r\n\x1a\n"
END = b"N3B-END\n"


def check(condition, what):
    if not condition:
        sys.exit("damaged: " + what)


def unzstd(data, command):
    try:
        from compression import zstd

        return zstd.decompress(data)
    except ImportError:
        return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def read_header(block):
    check(block[:8] == MAGIC, "the beginning")
    version, length = struct.unpack_from("<HxxI", block, 8)
    end = 16 + length
    check(zlib.crc32(block[:end]) == struct.unpack_from("<I", block, end)[0], "the checksum of the header")
    check(version == 1, "version %d is not known" % version)
    return json.loads(block[16:end]), end + 4


def read_footer(block):
    check(block[-8:] == END, "the end")
    trailer = len(block) - 48
    length, crc = struct.unpack_from("<II", block, trailer)
    footer = block[trailer - length : trailer]
    check(zlib.crc32(footer) == crc, "the checksum of the footer")
    check(hashlib.sha256(block[:-40]).digest() == block[-40:-8], "the checksum of the whole")
    return json.loads(footer)


def read_part(raw):
    messages, subjects, subject_bytes, header_bytes, payload_bytes, _, sequence, ms = struct.unpack_from("<6IQq", raw, 0)
    at = 40

    def numbers(kind, count):
        nonlocal at
        found = struct.unpack_from("<%d%s" % (count, kind), raw, at)
        at += 4 * count
        return found

    sequences, times, nanos = numbers("I", messages), numbers("i", messages), numbers("i", messages)
    subject_of, header_lengths, payload_lengths = (numbers("I", messages) for _ in range(3))
    names = []
    text = at + 4 * subjects
    for length in numbers("I", subjects):
        names.append(raw[text : text + length].decode())
        text += length
    headers_at = at + subject_bytes
    payloads_at = headers_at + header_bytes
    check(text == headers_at and payloads_at + payload_bytes == len(raw), "the sizes of a part")
    nano = 0
    for i in range(messages):
        sequence += sequences[i]
        ms += times[i]
        nano += nanos[i]
        yield {
            "sequence": sequence,
            "time_ns": str(ms * 1000000 + nano),
            "subject": names[subject_of[i]],
            "headers": base64.b64encode(raw[headers_at : headers_at + header_lengths[i]]).decode(),
            "payload": base64.b64encode(raw[payloads_at : payloads_at + payload_lengths[i]]).decode(),
        }
        headers_at += header_lengths[i]
        payloads_at += payload_lengths[i]


def main(path, command):
    with open(path, "rb") as file:
        block = file.read()
    header, at = read_header(block)
    opened = {"none": bytes, "gzip": gzip.decompress, "zstd": lambda data: unzstd(data, command)}[header["compression"]]
    messages = 0
    for part in read_footer(block)["parts"]:
        check(part["offset"] == at, "the place of a part")
        data = block[at : at + part["bytes"]]
        check(zlib.crc32(data) == part["crc32"], "the checksum of a part")
        for message in read_part(opened(data)):
            messages += 1
            print(json.dumps(message))
        at += part["bytes"]
    check(messages == header["messages"], "the number of messages")


main(sys.argv[1], sys.argv[2:])
