-- Images and with whom they are shared. Properties are one ordered JSON object, tags one JSON array in the image's row. `blob` is
-- the key of the data, or of the upload under way while the image is `saving`.
CREATE TABLE images (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    name TEXT,
    status TEXT NOT NULL,
    visibility TEXT NOT NULL,
    protected BIGINT NOT NULL,
    os_hidden BIGINT NOT NULL,
    disk_format TEXT,
    container_format TEXT,
    min_ram BIGINT NOT NULL,
    min_disk BIGINT NOT NULL,
    size BIGINT,
    virtual_size BIGINT,
    checksum TEXT,
    os_hash_algo TEXT,
    os_hash_value TEXT,
    blob TEXT,
    tags TEXT NOT NULL,
    properties TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX images_by_age ON images (created_at, id);

CREATE INDEX images_by_owner ON images (owner, created_at, id);

CREATE INDEX images_by_visibility ON images (visibility, created_at, id);

CREATE INDEX images_by_name ON images (name);

CREATE TABLE image_members (
    image_id TEXT NOT NULL REFERENCES images (id),
    member_id TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (image_id, member_id)
);

CREATE INDEX image_members_by_member ON image_members (member_id);
