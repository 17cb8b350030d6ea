"""A Hub on loopback: what huggingface_hub asks of one, over real HTTP.

Repositories are kept in memory. Faults are put on by the tests: a repository
that is gated, a transfer whose connection is dropped half-way.
"""

import base64
import hashlib
import http.server
import json
import re
import socket
import struct
import threading
import urllib.parse
from typing import NamedTuple

import yaml


class Blob(NamedTuple):
    data: bytes
    lfs: bool

    @property
    def oid(self):
        header = f"blob {len(self.data)}\0".encode()
        return hashlib.sha1(header + self.data).hexdigest()

    @property
    def sha256(self):
        return hashlib.sha256(self.data).hexdigest()


class Repository:
    """Commits, each a dict of blobs by path, and the branches on them."""

    def __init__(self, private=False):
        self.private = private
        self.gated = False
        self.commits = {}
        self.branches = {}
        self.messages = []
        self.commit("main", {".gitattributes": Blob(b"*.h5 lfs\n", False)}, "")

    def commit(self, branch, files, message):
        state = [branch, len(self.commits), message]
        state += [[path, blob.oid] for path, blob in sorted(files.items())]
        commit = hashlib.sha1(json.dumps(state).encode()).hexdigest()
        self.commits[commit] = dict(files)
        self.branches[branch] = commit
        self.messages.append(message)
        return commit

    def resolve(self, revision):
        commit = self.branches.get(revision, revision)
        return commit if commit in self.commits else None

    def files(self, revision="main"):
        """The bytes of the files at a revision, by path."""
        files = self.commits[self.resolve(revision)]
        return {path: blob.data for path, blob in files.items()}

    def change(self, files, branch="main"):
        """A commit by somebody else; `None` for the data deletes a file."""
        new = dict(self.commits[self.branches[branch]])
        for path, data in files.items():
            new.pop(path, None)
            if data is not None:
                new[path] = Blob(data, path.endswith(".h5"))
        return self.commit(branch, new, "by hand")


class Hub:
    """A server that runs until it is closed.

    Attributes:
        repositories: Dict of `Repository` by id.
        requests: List of `(method, path, token)` of all that was asked.
        drops: Dict from a regular expression of a method and a path, such as
            `"GET .*h5"`, to how often its connection is dropped half-way, and
            whether it is reset or only closed.
        sizes: Dict from a path to the size that HEAD claims of it.
        headers: Dict of headers that files are sent with, wrong ones.
        down: Bool. Whether all is answered by an error of the server.
        faults: Dict from a regular expression of a method and a path to a
            function that answers in place of the handler that it gets; see
            `tests/hub/faults.py`.
        sent: Int. Bytes that faults have sent.
    """

    def __init__(self):
        self.lock = threading.RLock()
        self.reset()
        handler = type("BoundHandler", (Handler,), {"hub": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(
            target=self.server.serve_forever,
            kwargs={"poll_interval": 0.05},
            daemon=True,
        ).start()

    def reset(self):
        with self.lock:
            self.repositories = {}
            self.objects = {}
            self.requests = []
            self.drops = {}
            self.sizes = {}
            self.headers = {}
            self.down = False
            self.faults = {}
            self.sent = 0

    def drop(self, pattern, times=1, reset=True):
        self.drops[pattern] = [times, reset]

    def dropped(self, what):
        """How the connection for a request is dropped, if it is."""
        with self.lock:
            for pattern, drop in self.drops.items():
                if drop[0] > 0 and re.fullmatch(pattern, what):
                    drop[0] -= 1
                    return "reset" if drop[1] else "close"
        return None

    def asked(self, pattern):
        """The requests whose method and path match a regular expression."""
        with self.lock:
            texts = [f"{method} {path}" for method, path, _ in self.requests]
        return [text for text in texts if re.fullmatch(pattern, text)]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.respond()

    do_GET = do_POST = do_PUT = do_HEAD

    def respond(self):
        url = urllib.parse.urlsplit(self.path)
        self.route = urllib.parse.unquote(url.path)
        token = self.headers.get("Authorization")
        with self.hub.lock:
            self.hub.requests.append((self.command, self.route, token))
        self.drop = self.hub.dropped(f"{self.command} {self.route}")
        length = int(self.headers.get("Content-Length", 0))
        if self.drop and length:
            self.rfile.read(length // 2)
            return self.cut()
        self.body = self.rfile.read(length)
        if self.hub.down:
            return self.send(503)
        for pattern, fault in list(self.hub.faults.items()):
            if re.fullmatch(pattern, f"{self.command} {self.route}"):
                return fault(self)
        for pattern, name in ROUTES:
            match = re.fullmatch(pattern, f"{self.command} {self.route}")
            if match:
                with self.hub.lock:
                    answer = getattr(self, name)(*match.groups())
                return self.send(*answer)
        return self.send(404, b"no such endpoint")

    def send(self, status, data=b"", headers=None, **more):
        if not isinstance(data, bytes):
            data = json.dumps(data).encode()
        headers = {"Content-Length": str(len(data)), **(headers or {}), **more}
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            if self.drop:
                self.wfile.write(data[: len(data) // 2])
                self.wfile.flush()
                return self.cut()
            self.wfile.write(data)

    def cut(self):
        """Drops the connection, as it comes: closed, or reset."""
        self.close_connection = True
        if self.drop == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger
            )
        self.connection.close()
        # What `http.server` still flushes has nowhere to go.
        self.wfile = self.rfile = open("/dev/null", "rb")

    def error(self, status, code, message=""):
        return status, b"", {"X-Error-Code": code, "X-Error-Message": message}

    def repository(self, name, write=False):
        """The repository and no answer, or none and the answer."""
        found = self.hub.repositories.get(name)
        token = self.headers.get("Authorization")
        if found is None or (found.private and not token):
            return None, self.error(404 if token else 401, "RepoNotFound")
        if write and not token:
            return None, self.error(401, "", "Invalid credentials in Auth")
        if write and token == "Bearer hf_reader":
            return None, self.error(403, "", "You have no write access")
        if found.gated and token != "Bearer hf_member":
            return None, self.error(403, "GatedRepo")
        return found, None

    def create(self):
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        if not self.headers.get("Authorization"):
            return self.error(401, "", "Invalid username or password.")
        if name in self.hub.repositories:
            return 409, {"error": "You already created this model repo"}
        private = asked.get("visibility") == "private" or asked.get("private")
        self.hub.repositories[name] = Repository(bool(private))
        return 200, {"url": f"{self.hub.url}/{name}", "name": name}

    def validate(self):
        content = json.loads(self.body)["content"]
        match = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
        try:
            data = yaml.safe_load(match[1])
            assert data["license"] == "mit"
            for model in data.get("model-index", []):
                for result in model["results"]:
                    assert result["task"]["type"]
                    assert result["dataset"]["type"]
                    assert result["dataset"]["name"]
                    for metric in result["metrics"]:
                        assert isinstance(metric["value"], float)
        except Exception as error:
            return 400, {"errors": [{"message": repr(error)}], "warnings": []}
        return 200, {"errors": [], "warnings": []}

    def info(self, name, revision="main"):
        found, answer = self.repository(name)
        if answer:
            return answer
        commit = found.resolve(revision)
        if commit is None:
            return self.error(404, "RevisionNotFound")
        return 200, {
            "id": name,
            "sha": commit,
            "private": found.private,
            "siblings": [{"rfilename": path} for path in found.commits[commit]],
        }

    def tree(self, name, revision):
        found, answer = self.repository(name)
        if answer:
            return answer
        commit = found.resolve(revision)
        if commit is None:
            return self.error(404, "RevisionNotFound")
        entries = []
        for path, blob in sorted(found.commits[commit].items()):
            entry = {"type": "file", "path": path, "size": len(blob.data)}
            entry["oid"] = blob.oid
            if blob.lfs:
                size = {"size": len(blob.data), "pointerSize": 134}
                entry["lfs"] = {"oid": blob.sha256, **size}
            entries.append(entry)
        return 200, entries

    def branch(self, name, branch):
        found, answer = self.repository(name, write=True)
        if answer:
            return answer
        if branch in found.branches:
            return 409, {"error": "exists"}
        found.branches[branch] = found.branches["main"]
        return 200, {}

    def preupload(self, name, revision):
        found, answer = self.repository(name, write=True)
        if answer:
            return answer
        commit = found.resolve(revision)
        if commit is None:
            return self.error(404, "RevisionNotFound")
        files = []
        for file in json.loads(self.body)["files"]:
            path = file["path"]
            old = found.commits[commit].get(path)
            mode = "lfs" if path.endswith((".h5", ".png")) else "regular"
            oid = old and (old.sha256 if old.lfs else old.oid)
            state = {"uploadMode": mode, "shouldIgnore": False, "oid": oid}
            files.append({"path": path, **state})
        return 200, {"files": files}

    def batch(self, name):
        objects = []
        for item in json.loads(self.body)["objects"]:
            if item["oid"] not in self.hub.objects:
                href = f"{self.hub.url}/lfs/{item['oid']}"
                item["actions"] = {"upload": {"href": href}}
            objects.append(item)
        return 200, {"transfer": "basic", "objects": objects}

    def put(self, oid):
        if hashlib.sha256(self.body).hexdigest() != oid:
            return 400, b"another digest"
        self.hub.objects[oid] = self.body
        return 200, b""

    def commit(self, name, branch):
        found, answer = self.repository(name, write=True)
        if answer:
            return answer
        if branch not in found.branches:
            return self.error(404, "RevisionNotFound")
        files = dict(found.commits[found.branches[branch]])
        summary = ""
        for line in self.body.splitlines():
            key, value = json.loads(line).values()
            if key == "header":
                summary = value["summary"]
                parent = value.get("parentCommit")
                if parent not in (None, found.branches[branch]):
                    return 412, {"error": "The branch has moved on."}
            elif key == "file":
                data = base64.b64decode(value["content"])
                files[value["path"]] = Blob(data, False)
            elif key == "lfsFile":
                data = self.hub.objects[value["oid"]]
                files[value["path"]] = Blob(data, True)
        commit = found.commit(branch, files, summary)
        url = f"{self.hub.url}/{name}/commit/{commit}"
        return 200, {"commitUrl": url, "commitOid": commit}

    def resolve(self, name, rest):
        found, answer = self.repository(name)
        if answer:
            return answer
        # A branch may have a slash in its name.
        for revision in sorted({*found.branches, *found.commits}, key=len):
            if rest.startswith(f"{revision}/"):
                path = rest.removeprefix(f"{revision}/")
                break
        else:
            return self.error(404, "RevisionNotFound")
        commit = found.resolve(revision)
        blob = found.commits[commit].get(path)
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if blob is None:
            status, data, more = self.error(404, "EntryNotFound")
            return status, data, {**headers, **more}
        etag = blob.sha256 if blob.lfs else blob.oid
        headers["ETag"] = f'"{etag}"'
        headers.update(self.hub.headers)
        if self.command == "HEAD":
            size = self.hub.sizes.get(path, len(blob.data))
            return 200, b"", {**headers, "Content-Length": str(size)}
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if wanted:
            start, end = int(wanted[1]), len(blob.data)
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{end}"
            return 206, blob.data[start:], headers
        return 200, blob.data, headers


_ID = r"([^/]+/[^/]+)"
ROUTES = [
    (r"POST /api/repos/create", "create"),
    (r"POST /api/validate-yaml", "validate"),
    (rf"POST /api/models/{_ID}/preupload/(.+)", "preupload"),
    (rf"POST /api/models/{_ID}/commit/(.+)", "commit"),
    (rf"POST /api/models/{_ID}/branch/(.+)", "branch"),
    (rf"POST /{_ID}\.git/info/lfs/objects/batch", "batch"),
    (r"PUT /lfs/(\w+)", "put"),
    (rf"GET /api/models/{_ID}", "info"),
    (rf"GET /api/models/{_ID}/revision/(.+)", "info"),
    (rf"GET /api/models/{_ID}/tree/(.+)", "tree"),
    (rf"(?:GET|HEAD) /{_ID}/resolve/(.+)", "resolve"),
]
