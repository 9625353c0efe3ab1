"""A stand-in for wandb that writes its calls to the file $CALLS; $BROKEN names what fails."""

import json
import os
import time
from types import SimpleNamespace

BROKEN = os.environ.get("BROKEN", "").split()
if "import" in BROKEN:
    raise ImportError("no such library\nhere")


def note(call, **content):
    with open(os.environ["CALLS"], "a") as file:
        file.write(json.dumps({"call": call, **content}, default=str) + "\n")
    if call in BROKEN:
        raise ConnectionError("no answer\nfrom the server")
    time.sleep(60 * (f"slow-{call}" in BROKEN))


class Settings(dict):
    def __init__(self, **values):
        super().__init__(values)

    def update_from_env_vars(self, variables):
        pass


def setup(settings):
    note("setup", environment={k: v for k, v in os.environ.items() if k.startswith("WANDB_")})


def login(prompt, verify):
    assert not prompt
    return "key" in BROKEN


def Histogram(np_histogram):
    return {"histogram": np_histogram}


class Run:
    project_url = "https://example.invalid/project"

    def __init__(self, about):
        self.name, self.summary = about["name"], {}
        self.settings = SimpleNamespace(sync_dir=about["dir"] + "/wandb/run")

    def define_metric(self, *names, **options):
        pass

    def log(self, row):
        note("log", run=self.name, row=row)

    def finish(self, exit_code):
        note("finish", run=self.name, exit_code=exit_code, summary=self.summary)


def init(mode, **about):
    note(mode, **about)
    return Run(about)
