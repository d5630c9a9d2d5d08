#!/usr/bin/env python3
"""libcloud_rackspace.py URL - apache-libcloud's Rackspace driver (Identity v2.0, Cloud Servers v2) against the cloud of
OS_CLIENT_CONFIG_FILE and OS_CLOUD."""
import sys

from cloud import call, login, token
from libcloud.compute.base import NodeImage
from libcloud.compute.providers import get_driver
from libcloud.compute.types import Provider

who = login()
driver = get_driver(Provider.RACKSPACE)(
    who["username"], who["password"], region="dfw", ex_force_auth_url=sys.argv[1] + "/identity",
    ex_force_auth_version="2.0_password", ex_force_service_region="RegionOne", secure=False)
size = [s for s in driver.list_sizes() if s.name == "m1.tiny"][0]
shown = call("GET", sys.argv[1] + "/image/v2/images", token=token(sys.argv[1]))[2]["images"][0]
image = NodeImage(id=shown["id"], name=shown["name"], driver=driver)
node = driver.create_node(name="first", size=size, image=image, ex_metadata={"owner": "me"})
while driver.ex_get_node_details(node.id).extra["vm_state"] != "active":
    pass
assert driver.ex_get_metadata(node) == {"owner": "me"}
assert driver.ex_set_metadata(node, {"color": "red"}) == {"color": "red"}
assert driver.list_nodes()[0].extra["metadata"] == {"color": "red"}
assert driver.destroy_node(node)
