# SPDX-License-Identifier: Apache-2.0
"""Health and reflection of monsoon-server, for clients that know nothing of
Monsoon: made of the definitions of gRPC's own project alone.

    health_test.py SERVER_BINARY FOLDER_OF_GRPC_PROTO
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message_factory import MessageFactory

SERVER, DEFINITIONS = sys.argv[1:3]
OURS = "monsoon.v1.ParameterServer"
HEALTH = "grpc.health.v1.Health"
REFLECTION = "grpc.reflection.v1alpha.ServerReflection"
SECONDS = 10  # that no call should take


def generate(folder):
    """The messages and stubs of both services."""
    schemas = ["grpc/health/v1/health.proto",
               "grpc/reflection/v1alpha/reflection.proto"]
    # Under a name of their own: `grpc` is the library.
    for schema in schemas:
        text = Path(DEFINITIONS, schema).read_text()
        Path(folder, Path(schema).name).write_text(text)
    names = [Path(schema).name for schema in schemas]
    subprocess.run(
        ["protoc", "-I", folder, "--python_out", folder,
         "--grpc_python_out", folder,
         "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin", *names],
        check=True)
    sys.path.insert(0, folder)
    import health_pb2
    import health_pb2_grpc
    import reflection_pb2
    import reflection_pb2_grpc
    return health_pb2, health_pb2_grpc, reflection_pb2, reflection_pb2_grpc


class HealthTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        (cls.health, cls.health_grpc, cls.reflection,
         cls.reflection_grpc) = generate(folder.name)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        port_file = Path(folder.name, "port")
        self.server = subprocess.Popen(
            [SERVER, "--listen", "127.0.0.1:0", "--port-file", port_file],
            stderr=subprocess.DEVNULL)
        self.addCleanup(self.server.wait)
        self.addCleanup(self.server.kill)
        deadline = time.monotonic() + SECONDS
        while not port_file.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        self.address = f"127.0.0.1:{int(port_file.read_text())}"
        self.channel = grpc.insecure_channel(self.address)
        self.addCleanup(self.channel.close)
        self.stub = self.health_grpc.HealthStub(self.channel)

    def request(self, service):
        return self.health.HealthCheckRequest(service=service)

    def watch(self, service):
        return self.stub.Watch(self.request(service), timeout=SECONDS)

    def test_the_server_and_our_service_are_serving(self):
        for service in ("", OURS):
            reply = self.stub.Check(self.request(service), timeout=SECONDS)
            self.assertEqual(reply.status, reply.SERVING, service)

    def test_an_unknown_service_is_not_found(self):
        for service in ("monsoon.v1.ParameterServe", "monsoon.v1", "ParameterServer"):
            with self.assertRaises(grpc.RpcError) as caught:
                self.stub.Check(self.request(service), timeout=SECONDS)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
        watch = self.watch("nobody")
        first = next(watch)
        self.assertEqual(first.status, first.SERVICE_UNKNOWN)
        watch.cancel()

    def test_who_watches_hears_that_the_server_ends(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                watches = [self.watch(service) for service in ("", OURS)]
                for watch in watches:
                    first = next(watch)
                    self.assertEqual(first.status, first.SERVING)
                self.server.send_signal(number)
                for watch in watches:
                    last = next(watch)
                    self.assertEqual(last.status, last.NOT_SERVING)
                    with self.assertRaises(grpc.RpcError):
                        next(watch)  # and then that it has ended
                self.assertEqual(self.server.wait(SECONDS), 128 + number)
                with self.assertRaises(grpc.RpcError) as caught:
                    self.stub.Check(self.request(""), timeout=SECONDS)
                self.assertEqual(caught.exception.code(),
                                 grpc.StatusCode.UNAVAILABLE)
                self.doCleanups()
                self.setUp()

    def test_watches_do_not_hold_up_the_end(self):
        watches = [self.watch("") for _ in range(50)]
        for watch in watches:
            next(watch)
        self.server.send_signal(signal.SIGTERM)
        start = time.monotonic()
        self.assertEqual(self.server.wait(SECONDS), 128 + signal.SIGTERM)
        self.assertLess(time.monotonic() - start, 3)

    # ---- Reflection -----------------------------------------------------

    def reflect(self, *requests):
        requests = [self.reflection.ServerReflectionRequest(**fields)
                    for fields in requests]
        stub = self.reflection_grpc.ServerReflectionStub(self.channel)
        return list(stub.ServerReflectionInfo(iter(requests), timeout=SECONDS))

    def services(self):
        (reply,) = self.reflect({"list_services": "*"})
        return [s.name for s in reply.list_services_response.service]

    def test_the_services_are_listed(self):
        self.assertEqual(sorted(self.services()),
                         sorted([OURS, HEALTH, REFLECTION]))

    def pool(self, service):
        """What a client needs to call it, as reflection tells."""
        (reply,) = self.reflect({"file_containing_symbol": service})
        self.assertFalse(reply.HasField("error_response"), reply)
        pool = descriptor_pool.DescriptorPool()
        for file in reply.file_descriptor_response.file_descriptor_proto:
            pool.Add(descriptor_pb2.FileDescriptorProto.FromString(file))
        return pool

    def call(self, service_name, name, **fields):
        """A call by what reflection tells alone, as grpc_cli makes it."""
        service = self.pool(service_name).FindServiceByName(service_name)
        method = service.methods_by_name[name]
        prototype = MessageFactory().GetPrototype
        stub = self.channel.unary_unary(
            f"/{service_name}/{name}",
            request_serializer=prototype(method.input_type).SerializeToString,
            response_deserializer=prototype(method.output_type).FromString)
        return stub(prototype(method.input_type)(**fields), timeout=SECONDS)

    def test_every_service_is_described(self):
        for service in self.services():
            found = self.pool(service).FindServiceByName(service)
            self.assertGreater(len(found.methods), 0)
        methods = self.pool(OURS).FindServiceByName(OURS).methods_by_name
        self.assertEqual(
            {"GetJob", "Join", "Exchange", "Report", "Probe"}, set(methods))

    def test_a_call_can_be_made_by_what_reflection_tells(self):
        self.assertEqual(self.call(HEALTH, "Check", service=OURS).status, 1)
        with self.assertRaises(grpc.RpcError) as caught:
            self.call(OURS, "GetJob")
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
        self.assertIn("no job", caught.exception.details())

    def threads(self):
        return len(os.listdir(f"/proc/{self.server.pid}/task"))

    def test_many_streams_take_few_threads(self):
        before, end = self.threads(), threading.Event()
        self.addCleanup(end.set)

        def requests():
            yield self.reflection.ServerReflectionRequest(list_services="*")
            end.wait(SECONDS)

        stub = self.reflection_grpc.ServerReflectionStub(self.channel)
        streams = [stub.ServerReflectionInfo(requests(), timeout=SECONDS)
                   for _ in range(60)]
        answered = 0
        for stream in streams:
            try:
                answered += len(next(stream).list_services_response.service) == 3
            except grpc.RpcError as error:
                self.assertEqual(error.code(),
                                 grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.assertGreater(answered, 0)
        self.assertLess(answered, 60)
        self.assertLessEqual(self.threads(), before + 8)
        reply = self.stub.Check(self.request(""), timeout=SECONDS)
        self.assertEqual(reply.status, reply.SERVING)
        end.set()
        for stream in streams:
            stream.cancel()
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                return self.assertEqual(len(self.services()), 3)
            except grpc.RpcError:
                time.sleep(0.05)  # the streams are still ending
        self.fail("reflection answers no more")

    def test_an_unknown_symbol_is_an_error_and_the_stream_goes_on(self):
        replies = self.reflect({"file_containing_symbol": "monsoon.v1.Nothing"},
                               {"list_services": "*"})
        self.assertEqual(replies[0].error_response.error_code,
                         grpc.StatusCode.NOT_FOUND.value[0])
        self.assertEqual(len(replies[1].list_services_response.service), 3)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
