# SPDX-License-Identifier: Apache-2.0
"""The golden messages, read and written by what protoc makes of the schema.

    golden_test.py ROOT_OF_THE_REPOSITORY
"""

import re
import sys
import tempfile
import unittest
from pathlib import Path

from google.protobuf import text_format

from schema_code import generate

ROOT = Path(sys.argv.pop())
GOLDEN = ROOT / "tests" / "golden"
FILES = sorted(GOLDEN.glob("*.txt"))


def read(path):
    """The name of the message, its text, and its bytes."""
    head, _, encoded = path.read_text().partition("bytes:\n")
    name, _, text = head.removeprefix("message: ").partition("\n")
    return name, text, bytes.fromhex(re.sub("#.*", "", encoded))


def value_name(enum, number):
    return f"{enum.full_name}.{enum.values_by_number[number].name}"


def contents(message, found):
    """Adds the names of all fields and enum values that the message has."""
    for field, value in message.ListFields():
        found.add(field.full_name)
        if field.message_type is None:
            if field.enum_type is not None:
                found.add(value_name(field.enum_type, value))
        elif not field.message_type.GetOptions().map_entry:
            single = field.label != field.LABEL_REPEATED
            for item in [value] if single else value:
                contents(item, found)
        elif field.message_type.fields_by_name["value"].message_type:
            for item in value.values():
                contents(item, found)


def schema(descriptor):
    """The names of all fields and enum values, but those of an enum's default,
    which are never sent."""
    names, enums = set(), list(descriptor.enum_types_by_name.values())
    messages = list(descriptor.message_types_by_name.values())
    for message in messages:
        messages += [nested for nested in message.nested_types
                     if not nested.GetOptions().map_entry]
        names |= {field.full_name for field in message.fields}
        enums += message.enum_types
    return names | {value_name(enum, value.number) for enum in enums
                    for value in enum.values if value.number != 0}


class GoldenTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.pb, _ = generate(ROOT / "proto" / "monsoon.proto", folder.name)

    def message(self, path):
        name, text, encoded = read(path)
        return text_format.Parse(text, getattr(self.pb, name)()), encoded

    def test_the_bytes_are_those_of_the_messages(self):
        for path in FILES:
            with self.subTest(path.name):
                message, encoded = self.message(path)
                self.assertEqual(message.SerializeToString().hex(" "),
                                 encoded.hex(" "))
                self.assertEqual(type(message).FromString(encoded), message)

    def test_every_field_of_the_schema_is_in_some_file(self):
        found = set()
        for path in FILES:
            contents(self.message(path)[0], found)
        expected = schema(self.pb.DESCRIPTOR)
        self.assertGreater(len(expected), 80)
        self.assertEqual(expected - found, set(),
                         "set them in a message of tests/golden/")

    def test_the_table_names_every_file(self):
        table = (GOLDEN / "README.md").read_text()
        self.assertEqual(
            sorted(re.findall(r"^\| `(\w+\.txt)` \| \w", table, re.MULTILINE)),
            [path.name for path in FILES])


if __name__ == "__main__":
    unittest.main()
