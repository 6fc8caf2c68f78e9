# SPDX-License-Identifier: Apache-2.0
"""A bad network in front of a server: forwards calls as they are, and loses some,
before the server has seen them or after. Which ones follows from their number."""

import contextlib
import itertools
from concurrent import futures

import grpc


class _Forward(grpc.GenericRpcHandler):
    def __init__(self, channel, lost):
        self.channel, self.lost, self.numbers = channel, lost, itertools.count(1)

    def service(self, details):
        def answer(request, context):
            number = next(self.numbers)
            name = details.method.split("/")[-1]
            if number % 7 == 3:
                self.lost.append(("request", name))
                context.abort(grpc.StatusCode.UNAVAILABLE, "the request was lost")
            try:
                reply = self.channel.unary_unary(details.method)(request, timeout=10)
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
            if number % 7 == 6:
                self.lost.append(("reply", name))
                context.abort(grpc.StatusCode.UNAVAILABLE, "the reply was lost")
            return reply

        return grpc.unary_unary_rpc_method_handler(answer)


@contextlib.contextmanager
def lossy(address, lost):
    """The address of what forwards to `address`; `lost` gets (what, of which call)."""
    with grpc.insecure_channel(address) as channel:
        server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[_Forward(channel, lost)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(0).wait()
