"""Who may enter, from the clouds.yaml that the server wrote. Python standard library only."""
import json
import os
import re
import urllib.error
import urllib.request

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def login():
    """-> {"username", "password", "project_name"} of the cloud that OS_CLOUD names."""
    name = os.environ["OS_CLOUD"]
    with open(os.environ["OS_CLIENT_CONFIG_FILE"]) as f:
        block = re.search(r"^  %s:\n((?:    .*\n)+)" % re.escape(name), f.read(), re.M).group(1)
    return dict(re.findall(r"^ +(username|password|project_name): (.*)$", block, re.M))


def call(method, url, body=None, token=None):
    """-> (status, headers, JSON or None)"""
    headers = {"Content-Type": "application/json", "X-OpenStack-Nova-API-Version": "2.37"}
    if token:
        headers["X-Auth-Token"] = token
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers, method=method)
    with OPENER.open(request, timeout=60) as r:
        text = r.read()
        return r.status, r.headers, json.loads(text) if text else None


def token(base):
    who = login()
    user = {"name": who["username"], "password": who["password"], "domain": {"id": "default"}}
    scope = {"project": {"name": who["project_name"], "domain": {"id": "default"}}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    return call("POST", base + "/identity/v3/auth/tokens", body)[1]["X-Subject-Token"]
