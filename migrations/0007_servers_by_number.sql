-- Servers lie in the order of a number that is read from their id: its first fifteen hexadecimal digits but for that of the version. So a
-- server is found by one descent instead of two, without an index of ids, and those that were made together lie together.
CREATE TABLE hex_digits (
    digit TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

INSERT INTO hex_digits (digit, value) VALUES
    ('0', 0), ('1', 1), ('2', 2), ('3', 3), ('4', 4), ('5', 5), ('6', 6), ('7', 7),
    ('8', 8), ('9', 9), ('a', 10), ('b', 11), ('c', 12), ('d', 13), ('e', 14), ('f', 15);

-- `place` counts the characters of an id from 1.
CREATE TABLE hex_places (
    place BIGINT NOT NULL,
    weight BIGINT NOT NULL,
    PRIMARY KEY (place)
);

INSERT INTO hex_places (place, weight) VALUES
    (1, 72057594037927936), (2, 4503599627370496), (3, 281474976710656), (4, 17592186044416), (5, 1099511627776),
    (6, 68719476736), (7, 4294967296), (8, 268435456), (10, 16777216), (11, 1048576), (12, 65536), (13, 4096),
    (16, 256), (17, 16), (18, 1);

CREATE TABLE numbered_servers (
    number BIGINT PRIMARY KEY,
    id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    vm_state TEXT NOT NULL,
    task_state TEXT,
    power_state BIGINT NOT NULL,
    progress BIGINT NOT NULL DEFAULT 0,
    old_vm_state TEXT,
    locked BIGINT NOT NULL,
    deleted BIGINT NOT NULL,
    image_id TEXT,
    flavor_id TEXT NOT NULL,
    vcpus BIGINT NOT NULL DEFAULT 0,
    memory_mb BIGINT NOT NULL DEFAULT 0,
    metadata TEXT NOT NULL,
    details TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    launched_at BIGINT,
    terminated_at BIGINT,
    deleted_at BIGINT
);

INSERT INTO numbered_servers (number, id, project_id, user_id, name, vm_state, task_state, power_state, progress, old_vm_state, locked,
    deleted, image_id, flavor_id, vcpus, memory_mb, metadata, details, created_at, updated_at, launched_at, terminated_at, deleted_at)
SELECT
    (SELECT CAST(sum(value * weight) AS BIGINT) FROM hex_places JOIN hex_digits ON digit = substr(servers.id, CAST(place AS INTEGER), 1)),
    id, project_id, user_id, name, vm_state, task_state, power_state, progress, old_vm_state, locked,
    deleted, image_id, flavor_id, vcpus, memory_mb, metadata, details, created_at, updated_at, launched_at, terminated_at, deleted_at
FROM servers
ORDER BY 1;

DROP TABLE servers;

ALTER TABLE numbered_servers RENAME TO servers;

CREATE INDEX servers_by_project ON servers (project_id, deleted, created_at, id);

CREATE INDEX servers_by_age ON servers (deleted, created_at, id);

DROP TABLE hex_places;

DROP TABLE hex_digits;
