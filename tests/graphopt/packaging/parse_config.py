"""Prints a config.pbtxt, read by the definitions that come with tritonclient, as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

for file in sys.argv[1:]:
    config = text_format.Parse(Path(file).read_text(), model_config_pb2.ModelConfig())
    # Map entries that have one key would be lost here, and found missing by the comparison.
    print(json.dumps(json_format.MessageToDict(config, preserving_proto_field_name=True)))
