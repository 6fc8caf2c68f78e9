# SPDX-License-Identifier: Apache-2.0
"""What protoc makes of the schema, for tests that know nothing else of Monsoon."""

import subprocess
import sys
from pathlib import Path


def generate(schema, folder):
    """Writes the schema's Python modules into the folder, and returns them."""
    subprocess.run(
        ["protoc", "-I", str(Path(schema).parent),
         "--python_out", str(folder), "--grpc_python_out", str(folder),
         "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin",
         str(schema)], check=True)
    sys.path.insert(0, str(folder))
    import monsoon_pb2
    import monsoon_pb2_grpc
    return monsoon_pb2, monsoon_pb2_grpc
