-- Every list follows an index in its own order. Where a list is of those of one domain, name, parent, target or role, its order, by id,
-- now comes behind that in the index.
CREATE INDEX users_by_domain ON users (domain_id, id);

DROP INDEX users_by_name;

CREATE INDEX users_by_name ON users (name, id);

CREATE INDEX projects_by_domain ON projects (domain_id, id);

DROP INDEX projects_by_name;

CREATE INDEX projects_by_name ON projects (name, id);

DROP INDEX projects_by_parent;

CREATE INDEX projects_by_parent ON projects (parent_id, id);

DROP INDEX grants_by_target;

CREATE INDEX grants_by_target ON grants (target_kind, target_id, user_id, role_id);

DROP INDEX grants_by_role;

CREATE INDEX grants_by_role ON grants (role_id, user_id, target_kind, target_id);

DROP INDEX images_by_name;

CREATE INDEX images_by_name ON images (name, created_at, id);

CREATE INDEX tasks_by_owner ON tasks (lease_owner);

-- A list of what has changed follows the age of servers as every other, and passes over what has not: this index would have been
-- written with every metadata item.
DROP INDEX servers_by_change;
