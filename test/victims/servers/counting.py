"""For gunicorn: /NAME counts what was asked for NAME. The numbers lie in memory that all workers share."""

import multiprocessing
import zlib

PLACES = 1024
counts = multiprocessing.Array("q", PLACES)


def application(environ, start_response):
    place = zlib.crc32(environ["PATH_INFO"].encode()) % PLACES
    with counts.get_lock():
        counts[place] += 1
        body = str(counts[place]).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
