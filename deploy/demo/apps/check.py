"""Asks the running workshop.py how it is; prints its answer, one line of JSON."""

import socket
import sys

with socket.create_connection(("127.0.0.1", 7008), timeout=20) as server:
    server.sendall(b"status\n")
    while part := server.recv(65536):
        sys.stdout.write(part.decode())
