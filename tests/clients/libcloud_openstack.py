#!/usr/bin/env python3
"""libcloud_openstack.py URL - apache-libcloud's OpenStack driver against the cloud of OS_CLIENT_CONFIG_FILE and OS_CLOUD."""
import sys

from cloud import login
from libcloud.compute.providers import get_driver
from libcloud.compute.types import Provider

who = login()
driver = get_driver(Provider.OPENSTACK)(
    who["username"], who["password"], ex_force_auth_url=sys.argv[1] + "/identity", ex_force_auth_version="3.x_password",
    ex_tenant_name=who["project_name"], ex_domain_name="Default", ex_force_service_region="RegionOne",
    api_version="2.2", secure=False)
size = [s for s in driver.list_sizes() if s.name == "m1.tiny"][0]
image = driver.list_images()[0]
node = driver.create_node(name="first", size=size, image=image, ex_metadata={"owner": "me"})
assert driver.ex_get_metadata(node) == {"owner": "me"}, driver.ex_get_metadata(node)
while driver.ex_get_node_details(node.id).extra["vm_state"] != "active":
    pass
assert driver.ex_set_metadata(node, {"color": "red", "size": "xl"}) == {"color": "red", "size": "xl"}
assert driver.ex_get_metadata(node) == {"color": "red", "size": "xl"}
driver.ex_update_node(node, name="second")
assert [n.name for n in driver.list_nodes()] == ["second"]
assert driver.list_nodes()[0].extra["metadata"] == {"color": "red", "size": "xl"}
assert driver.destroy_node(node)
