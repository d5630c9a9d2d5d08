-- Lists by name follow an index as those by age do: of images, as Glance's own client and Horizon ask for them, and of servers. A write of
-- metadata changes nothing that is in these.
-- `sort_name` is the name of an image as lists sort it: an image that has none is sorted as if it were empty. No index of an expression, as
-- SQLite does not find where a page begins in one.
ALTER TABLE images ADD COLUMN sort_name TEXT NOT NULL DEFAULT '';

UPDATE images SET sort_name = COALESCE(name, '');

DROP INDEX images_by_name;

CREATE INDEX images_by_name ON images (sort_name, created_at, id);

CREATE INDEX images_by_owner_and_name ON images (owner, sort_name, created_at, id);

CREATE INDEX images_by_visibility_and_name ON images (visibility, sort_name, created_at, id);

CREATE INDEX servers_by_project_and_name ON servers (project_id, deleted, name, id);

CREATE INDEX servers_by_name ON servers (deleted, name, id);
