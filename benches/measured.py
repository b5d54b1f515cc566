"""What the benches measure with: a process, and a running server that is asked over HTTP."""

import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse


class Run:
    """What one process took."""

    def __init__(self, command):
        began = time.monotonic()
        with tempfile.TemporaryFile() as said:
            self.run(command, said, began)

    def run(self, command, said, began):
        child = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=said)
        self.out = child.stdout.read().decode()
        _, status, usage = os.wait4(child.pid, 0)
        self.wall = time.monotonic() - began
        self.cpu = usage.ru_utime + usage.ru_stime
        self.mib = usage.ru_maxrss / 1024
        if status != 0:
            said.seek(0)
            sys.exit(f"{said.read().decode()}failed ({status}): {' '.join(map(str, command))}")


class Server:
    """A server over the data, and how to ask it."""

    def __init__(self, huicun, data):
        made = subprocess.run([huicun, "--data", data, "token", "create", "--name", "bench", "--scope", "all"],
                              capture_output=True, check=True, text=True)
        self.headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
        self.child = subprocess.Popen(
            [huicun, "--data", data, "serve", "--listen", "127.0.0.1:0", "--without-pull"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = urllib.parse.urlsplit(self.child.stdout.readline().strip()).netloc

    def connect(self):
        return http.client.HTTPConnection(self.address)

    def send(self, connection, method, path, body=None):
        """Seconds until the answer was there, its status, and the answer."""
        headers = {**self.headers, "Content-Type": "application/json"} if body else self.headers
        began = time.perf_counter()
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        return time.perf_counter() - began, answer.status, content

    def get(self, connection, path):
        """Seconds and the answer."""
        seconds, status, content = self.send(connection, "GET", path)
        if status != 200:
            sys.exit(f"{path}: {status} {content.decode()}")
        return seconds, json.loads(content)

    def memory(self):
        """Of the process: what it holds of its own, and with the files that it has mapped; MiB."""
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        kib = {key: int(value) for key, value in re.findall(r"(\w+):\s+(\d+) kB", status)}
        return kib["RssAnon"] / 1024, kib["VmRSS"] / 1024

    def stop(self):
        self.child.terminate()
        self.child.wait()
