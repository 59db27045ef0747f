"""Answers one request of its first connection, waits until the next one lies unread, and closes: Linux
answers that one with a reset and no end before it. Connections after that are answered and kept, or, with
"always", reset as well. Prints its port, and at the end of its input how many requests it has read.
Usage: unread_server.py once|always [CERT KEY]
"""
import select
import socket
import ssl
import sys
import threading

reads = 0


def serve(conn, left):
    global reads
    try:
        while left != 0:
            left -= 1
            while not conn.recv(1 << 20).endswith(b"}"):
                pass
            reads += 1
            conn.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        select.select([conn], [], [])
    except OSError:
        pass
    conn.close()


def accept():
    number = 0
    while True:
        conn, _ = listener.accept()
        if context:
            conn = context.wrap_socket(conn, server_side=True)
        number += 1
        left = 1 if number == 1 else 0 if sys.argv[1] == "always" else -1
        threading.Thread(target=serve, args=(conn, left), daemon=True).start()


context = None
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Tickets would follow the handshake, and be what lies unread at the other end.
    context.num_tickets = 0
    context.load_cert_chain(sys.argv[2], sys.argv[3])
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
threading.Thread(target=accept, daemon=True).start()
sys.stdin.read()
print(reads, flush=True)
