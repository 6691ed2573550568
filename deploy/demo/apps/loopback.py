"""How the programs answer questions: one line of JSON for every connection to a port of the loopback interface."""

import json
import socket

WORKSHOP_PORT = 7008
CLIENT_PORT = 7009
PATIENCE_SECONDS = 20


def serve(port, describe):
    """Blocks in accept for ever; a client that goes away, or is reset by a restore, is no error."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            client, _ = listener.accept()
            with client:
                client.settimeout(PATIENCE_SECONDS)
                try:
                    client.sendall(json.dumps(describe()).encode() + b"\n")
                except OSError as error:
                    print(f"client: {error}", flush=True)


def ask(port):
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as server:
        answer = b""
        while part := server.recv(65536):
            answer += part
        return answer.decode()
