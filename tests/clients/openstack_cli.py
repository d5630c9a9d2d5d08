#!/usr/bin/env python3
"""openstack_cli.py - the OpenStack command line against the cloud of OS_CLIENT_CONFIG_FILE and OS_CLOUD.

All commands run in this one process, since starting the client takes longer than everything else."""
import contextlib
import io
import json
import shlex
import sys
import tempfile

from openstackclient import shell


def run(line, fails=False):
    """Runs a command; gives what it printed, parsed where it is JSON."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = shell.main(shlex.split(line))
    if bool(status) != fails:
        sys.exit("openstack %s -> %s\n%s%s" % (line, status, out.getvalue(), err.getvalue()))
    text = out.getvalue() or err.getvalue()
    try:
        return json.loads(text)
    except ValueError:
        return text


def properties(line):
    return run(line + " -f json")["properties"]


def until(name, status):
    for _ in range(600):
        if run("server show %s -f json" % name)["status"] == status:
            return
    sys.exit("%s does not get %s" % (name, status))


def same(found, wanted):
    if found != wanted:
        sys.exit("%r is not %r" % (found, wanted))


with tempfile.NamedTemporaryFile() as data:
    data.write(b"\0" * 65536)
    data.flush()
    run("image create --file %s --disk-format raw --container-format bare --property color=blue picture" % data.name)
shown = run("image show picture -f json")
same((shown["status"], shown["size"], shown["properties"]["color"]), ("active", 65536, "blue"))
with tempfile.NamedTemporaryFile() as data:
    run("image save --file %s picture" % data.name)
    same(data.read(), b"\0" * 65536)

run("--os-compute-api-version 2.37 server create --image picture --flavor m1.tiny --no-network --property owner=me --wait first")
same(properties("server show first"), {"owner": "me"})
run("server set --property color=red --property 'two words=a, b' first")
run("server set --property color=green first")
same(properties("server show first"), {"owner": "me", "color": "green", "two words": "a, b"})
run("server unset --property owner first")
same(properties("server show first"), {"color": "green", "two words": "a, b"})
same([s["Name"] for s in run("server list -f json")], ["first"])
run("server stop first")
until("first", "SHUTOFF")
run("server start first")
until("first", "ACTIVE")
run("server lock first")
refused = run("server set --property color=blue first", fails=True)
same("is locked" in str(refused), True)
run("server unlock first")
run("server set --property color=blue first")

run("image set --property kind=test picture")
same(run("image show picture -f json")["properties"]["kind"], "test")
run("image unset --property kind picture")
same("kind" in run("image show picture -f json")["properties"], False)

run("server delete --wait first")
same(run("server list -f json"), [])
run("image delete picture")
same("picture" in [i["Name"] for i in run("image list -f json")], False)
