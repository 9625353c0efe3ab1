"""Stand-ins for the server of Weights & Biases, on 127.0.0.1."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """It takes runs, and holds back uploads until `uploads_held` is set."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked, self.uploads_held = [], threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    """What wandb asks of its server when a run starts, uploads and ends."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        query = asked.get("query", "")
        if "upsertBucket" in query:
            project = {"id": "p", "name": "project", "entity": {"id": "e", "name": "me"}}
            names = {"name": asked["variables"]["name"], "id": "i", "project": project}
            answer = {"upsertBucket": {"bucket": names | {"config": "{}"}, "inserted": True}}
        elif "createRunFiles" in query:
            files = [{"name": f, "uploadUrl": self.server.url} for f in asked["variables"]["files"]]
            answer = {"createRunFiles": {"runID": "i", "uploadHeaders": [], "files": files}}
        else:
            if "files" in asked:
                self.server.uploads_held.wait()
            answer = {}
        self.reply({"data": answer})

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.reply({})

    def reply(self, content):
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def answer_garbage(listener):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # closed
            return
        with connection:
            connection.recv(4096)
            connection.sendall(b"\x00\xff what?")
