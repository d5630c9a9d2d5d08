-- Flavors, servers, quotas, and the work that remains to be done for servers.
CREATE TABLE flavors (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT,
    memory_mb BIGINT NOT NULL,
    vcpus BIGINT NOT NULL,
    root_gb BIGINT NOT NULL,
    ephemeral_gb BIGINT NOT NULL,
    swap_mb BIGINT NOT NULL,
    rxtx_factor TEXT NOT NULL,
    is_public BIGINT NOT NULL,
    disabled BIGINT NOT NULL,
    extra_specs TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE flavor_access (
    flavor_id TEXT NOT NULL REFERENCES flavors (id),
    project_id TEXT NOT NULL,
    PRIMARY KEY (flavor_id, project_id)
);

-- The metadata map is one ordered JSON object, kept as the bytes that clients read. `details` is a JSON object of what is
-- only ever shown or handed to the driver. Deleted servers stay as rows, as in Nova.
CREATE TABLE servers (
    id TEXT PRIMARY KEY,
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

CREATE INDEX servers_by_project ON servers (project_id, deleted, created_at, id);

CREATE INDEX servers_by_age ON servers (deleted, created_at, id);

CREATE INDEX servers_by_change ON servers (project_id, updated_at);

-- A limit of a project ('' as user_id), or of one of its users.
CREATE TABLE quotas (
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    resource TEXT NOT NULL,
    hard_limit BIGINT NOT NULL,
    PRIMARY KEY (project_id, user_id, resource)
);

CREATE TABLE quota_classes (
    class TEXT NOT NULL,
    resource TEXT NOT NULL,
    hard_limit BIGINT NOT NULL,
    PRIMARY KEY (class, resource)
);

-- What a committed change still asks of the world. A worker takes one by a lease and removes it in the transaction that
-- records the outcome; a lease that has run out means that its worker died. Tasks of one subject are done in `turn`.
CREATE TABLE tasks (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    turn BIGINT NOT NULL,
    payload TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    lease_owner TEXT,
    lease_until BIGINT NOT NULL
);

CREATE INDEX tasks_by_age ON tasks (created_at, id);

CREATE UNIQUE INDEX tasks_by_subject ON tasks (subject_id, turn);

-- Key pairs belong to a user, not to a project. `number` is the id that Nova counts up; nothing refers to it.
CREATE TABLE key_pairs (
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    number BIGINT NOT NULL,
    type TEXT NOT NULL,
    public_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, name)
);

CREATE UNIQUE INDEX key_pairs_by_number ON key_pairs (number);
