"""Endpoints of the Open Inference Protocol (V2), over HTTP and gRPC: asked, verified, timed."""
