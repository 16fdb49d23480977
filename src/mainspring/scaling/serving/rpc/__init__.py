"""The Open Inference Protocol over gRPC: its messages, its calls, and the port they come by.

Needs the extra ``grpc``; nothing here is imported unless an endpoint has a gRPC port. Read first:
``door.py`` (the port), then ``servicer.py`` (the calls), ``messages.py`` (the wire).
"""
