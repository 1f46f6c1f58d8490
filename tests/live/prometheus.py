"""prometheus: a real one, in a lab's gateway, that reads once a second what `tiergatectl metrics` says."""
import contextlib
import http.server
import json
import shutil
import subprocess
import sys
import time
import urllib.parse

from lab import wait_for
from tap import Skip

PORT, EXPORTER = 9090, 9833


def exporter(argv):
    """What runs in the gateway's namespace: a page whose text is a command's output."""
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            text = subprocess.run(argv, capture_output=True).stdout
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass
    http.server.ThreadingHTTPServer(("127.0.0.1", EXPORTER), Page).serve_forever()


class Prometheus:
    def __init__(self, lab):
        self.lab = lab

    def ask(self, path, **query):
        """The data of an answer of its API; an error of it is an AssertionError."""
        url = f"http://127.0.0.1:{PORT}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        answer = json.loads(self.lab.run("gateway", "curl", "-sS", "-m", "10", url).stdout or "{}")
        if answer.get("status") != "success":
            raise AssertionError(f"{query}: {answer}")
        return answer["data"]["result"]

    def now(self, expr):
        """[(labels, value)]"""
        return [(r["metric"], float(r["value"][1])) for r in self.ask("query", query=expr)]

    def over(self, expr, seconds):
        """[(labels, [(time, value)])] of the last seconds."""
        end = time.time()
        found = self.ask("query_range", query=expr, start=end - seconds, end=end, step=max(1, seconds // 100))
        return [(r["metric"], [(float(t), float(v)) for t, v in r["values"]]) for r in found]


@contextlib.contextmanager
def prometheus(lab, ctl):
    """ctl: tiergatectl and its options."""
    if not shutil.which("prometheus"):
        raise Skip("needs prometheus")
    conf = lab.dir / "prometheus.yml"
    conf.write_text("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nscrape_configs:\n"
                    f"  - {{job_name: tiergate, static_configs: [{{targets: ['127.0.0.1:{EXPORTER}']}}]}}\n")
    running = [lab.spawn("gateway", sys.executable, __file__, *ctl, "metrics"),
               lab.spawn("gateway", "prometheus", f"--config.file={conf}", f"--storage.tsdb.path={lab.dir}/tsdb",
                         f"--web.listen-address=127.0.0.1:{PORT}")]
    try:
        it = Prometheus(lab)

        def reads():
            with contextlib.suppress(AssertionError, ValueError):  # until it is up
                return it.now("tiergate_build_info")
        wait_for(reads, 60, "Prometheus")
        yield it
    finally:
        for p in running:
            p.terminate()
            p.wait()


if __name__ == "__main__":
    exporter(sys.argv[1:])
