#!/usr/bin/env python3
"""writer.py write|check URL NOTE - writes metadata until the server is gone and notes what was acknowledged; checks it afterwards.
The cloud is that of OS_CLIENT_CONFIG_FILE and OS_CLOUD. Python standard library only."""
import json
import sys
import urllib.error

from cloud import call, token

KEYS = 50
what, base, note = sys.argv[1:]
tok = token(base)
servers = base + "/v2.1/servers"


def write():
    image = call("GET", base + "/image/v2/images", token=tok)[2]["images"][0]["id"]
    body = {"server": {"name": "written", "imageRef": image, "flavorRef": "1", "networks": "none"}}
    server = call("POST", servers, body, tok)[2]["server"]["id"]
    while call("GET", "%s/%s" % (servers, server), token=tok)[2]["server"]["status"] != "ACTIVE":
        pass
    acknowledged, turn = {}, 0
    while True:
        key, value = "k%d" % (turn % KEYS), str(turn)
        try:
            call("PUT", "%s/%s/metadata/%s" % (servers, server, key), {"meta": {key: value}}, tok)
        except urllib.error.HTTPError as e:
            sys.exit("%s: %d %s" % (key, e.code, e.read()))
        except OSError:   # the server is gone; whether it did this last one nobody knows
            with open(note, "w") as f:
                json.dump({"server": server, "acknowledged": acknowledged, "unknown": [key, value]}, f)
            return
        acknowledged[key] = value
        turn += 1
        try:
            print(key, flush=True)
        except BrokenPipeError:   # whoever counted has seen enough
            sys.stdout = open("/dev/null", "w")


def check():
    with open(note) as f:
        written = json.load(f)
    found = call("GET", "%s/%s/metadata" % (servers, written["server"]), token=tok)[2]["metadata"]
    key, value = written["unknown"]
    lost = {k: (v, found.get(k)) for k, v in written["acknowledged"].items() if found.get(k) != v}
    if lost.get(key, (None, None))[1] == value:
        del lost[key]
    if lost:
        sys.exit("acknowledged, and not there: %r" % lost)


{"write": write, "check": check}[what]()
