# SPDX-License-Identifier: Apache-2.0
"""The structure of the repository is what it should be, and every check finds
what is planted for it in a copy. Run from anywhere; needs Python 3 and git."""

import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import blocking
import elements
import include_graph
import links
import repository
import sizes_and_paths
import wire_document

ROOT = Path(__file__).resolve().parents[2]


class Repository(unittest.TestCase):
    def holds(self, check):
        found = check.violations(ROOT)
        self.assertFalse(found, "\n" + "\n".join(found))

    def test_folders_include_only_what_they_may(self):
        self.holds(include_graph)

    def test_nothing_blocks_but_events(self):
        self.holds(blocking)

    def test_devices_know_every_element_function(self):
        self.holds(elements)
        names = [name for name, _ in elements.elements(ROOT)]
        self.assertIn("AdamStep", names)
        self.assertIn("GemMove", names)
        self.assertNotIn("GemFactor", names)  # a part of others

    def test_files_are_small_and_free_of_machine_paths(self):
        self.holds(sizes_and_paths)

    def test_links_between_documents_lead_somewhere(self):
        self.holds(links)

    def test_the_document_of_the_wire_is_complete(self):
        self.holds(wire_document)
        source = repository.text(ROOT, wire_document.SCHEMA)
        schema = wire_document.schema(source)
        # Nothing that looks like a field escapes the pattern, nor does a block.
        self.assertEqual(sum(map(len, schema.values())),
                         len(re.findall(r"= \d+;", source)))
        self.assertEqual(len(schema), len(re.findall(r"^ *(?:message|enum) ",
                                                     source, re.MULTILINE)))
        self.assertIn("OUT_OF_RANGE", dict(map(reversed,
                                               wire_document.statuses(ROOT))))

    def test_trainers_are_seen(self):
        names = [name for name, _ in repository.trainers(ROOT)]
        self.assertIn("adag", names)


class Planted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.copy = Path(cls.folder.name)
        for path in repository.files(ROOT):
            (cls.copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, cls.copy / path)
        subprocess.run(["git", "init", "-q"], cwd=cls.copy, check=True)

    def finds(self, check, message, planted):
        """`check` says `message` once the files `planted` are there."""
        self.assertNotIn(message, "\n".join(check.violations(self.copy)))
        for path, contents in planted.items():
            (self.copy / path).parent.mkdir(parents=True, exist_ok=True)
            (self.copy / path).write_text(contents)
        try:
            self.assertIn(message, "\n".join(check.violations(self.copy)))
        finally:
            for path in planted:
                (self.copy / path).unlink()

    def test_wrong_arrow(self):
        self.finds(include_graph, "models/ may not include",
                   {"models/planted.h": '#include "transport/x.h"\n'})
        self.finds(include_graph, "server/ may not include",
                   {"server/planted.cc": '  # include "worker/x.h"\n'})

    def test_include_from_beside(self):
        self.finds(include_graph, '"beside.h" does not start at the root',
                   {"base/planted.h": '#include "beside.h"\n'})

    def test_cycle(self):
        self.finds(include_graph, "base/planted1.h -> base/planted2.h -> ",
                   {"base/planted1.h": '#include "base/planted2.h"\n',
                    "base/planted2.h": '#include "base/planted1.h"\n'})

    def test_concrete_trainer(self):
        trainer = 'REGISTER_TRAINER("planted", Planted);\n'
        self.finds(include_graph, 'includes the trainer "trainers/planted.h"',
                   {"trainers/planted.cc": trainer,
                    "trainers/planted.h": "",
                    "worker/planted.h": '#include "trainers/planted.h"\n'})
        self.finds(include_graph, "names the trainer planted",
                   {"trainers/planted.cc": trainer,
                    "server/other.cc": "// Planted needs this.\n"})

    def test_english_trainer_name(self):
        self.finds(include_graph, "server/planted.h: names the trainer single",
                   {"trainers/planted.cc":
                    'REGISTER_TRAINER("single", Planted);\n',
                    "server/planted.h": 'if (name == "single") return;\n'})

    def test_blocking(self):
        for line in ("std::condition_variable c;", "absl::CondVar c;",
                     "mu.Await(c);", "mu.AwaitWithTimeout(c, t);",
                     "mu.LockWhen(c);", "absl::SleepFor(t);", "usleep(1);",
                     "std::this_thread::yield();", "#include <future>"):
            self.finds(blocking, "worker/planted.cc:1: ",
                       {"worker/planted.cc": line + "\n"})

    def test_unknown_element(self):
        self.finds(elements, "no .cu file has RegisterElement<Planted>",
                   {"trainers/planted_elements.h":
                    "struct Planted {\n  MONSOON_ELEMENT void operator()"
                    "(float& x) const { x = 0; }\n};\n"})

    def test_long_file(self):
        self.finds(sizes_and_paths, "base/planted.cc: 501 lines",
                   {"base/planted.cc": "\n" * 501})

    def test_machine_path(self):
        path = "/".join(["", "root", "x"])
        self.finds(sizes_and_paths, "docs/planted.md:2: names a path",
                   {"docs/planted.md": f"here:\n{path}\n"})

    def test_broken_link(self):
        self.finds(links, "docs/planted.md: links to nowhere.md",
                   {"docs/planted.md": "[a](nowhere.md#b) [c](planted.md)\n"})

    def changed(self, path, old, new, message):
        """`check` says `message` once `old` in the file is `new`."""
        original = (self.copy / path).read_text()
        self.assertIn(old, original)
        (self.copy / path).write_text(original.replace(old, new, 1))
        try:
            self.assertIn(message, wire_document.violations(self.copy))
        finally:
            (self.copy / path).write_text(original)

    def test_wire_document(self):
        schema, page = wire_document.SCHEMA, wire_document.DOCUMENT
        self.changed(schema, "  bool refused = 3;",
                     "  bool refused = 3;\n  map<string, bool> planted = 7;",
                     f"{page}: ExchangeReply lacks planted of {schema}")
        self.changed(schema, "    PUSH = 1;", "    PUSH = 1;\n    PLANTED = 9;",
                     f"{page}: ExchangeRequest.Kind lacks PLANTED of {schema}")
        self.changed(schema, "message GetJobRequest {}",
                     "message GetJobRequest {}\nmessage Planted {\n}",
                     f"{page}: no section Planted, of {schema}")
        self.changed(page, "| `refused` |", "| `refused`, `planted` |",
                     f"{page}: ExchangeReply has planted, which {schema} has not")
        self.changed(page, "| `lease_s` |", "| lease_s |",
                     f"{page}: JobStatus lacks lease_s of {schema}")
        self.changed(page, "| `OUT_OF_RANGE` |", "| |",
                     f"{page}: Errors lacks OUT_OF_RANGE of server/exchange_rules.cc")


if __name__ == "__main__":
    unittest.main()
