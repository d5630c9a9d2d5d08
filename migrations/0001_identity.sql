-- Who may ask: domains, projects, users, roles, grants, the catalog. Ids are text; times are microseconds since 1970.
CREATE TABLE domains (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    extra TEXT NOT NULL
);

CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    domain_id TEXT NOT NULL REFERENCES domains (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    parent_id TEXT NOT NULL,
    tags TEXT NOT NULL,
    extra TEXT NOT NULL,
    UNIQUE (domain_id, name)
);

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    domain_id TEXT NOT NULL REFERENCES domains (id),
    name TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    password_hash TEXT,
    password_changed_at BIGINT,
    tokens_valid_from BIGINT NOT NULL,
    default_project_id TEXT,
    -- for Identity v2.0's RAX-KSKEY; while there is none, the password serves
    api_key_hash TEXT,
    extra TEXT NOT NULL,
    UNIQUE (domain_id, name)
);

CREATE TABLE roles (
    id TEXT PRIMARY KEY,
    domain_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    extra TEXT NOT NULL,
    UNIQUE (domain_id, name)
);

-- Whoever has the prior role has the implied one too.
CREATE TABLE implied_roles (
    prior_role_id TEXT NOT NULL REFERENCES roles (id),
    implied_role_id TEXT NOT NULL REFERENCES roles (id),
    PRIMARY KEY (prior_role_id, implied_role_id)
);

-- A user's role on a project, a domain or the system (target_id 'all').
CREATE TABLE grants (
    user_id TEXT NOT NULL REFERENCES users (id),
    target_kind TEXT NOT NULL,
    target_id TEXT NOT NULL,
    role_id TEXT NOT NULL REFERENCES roles (id),
    PRIMARY KEY (user_id, target_kind, target_id, role_id)
);

CREATE INDEX projects_by_parent ON projects (parent_id);

CREATE INDEX projects_by_name ON projects (name);

CREATE INDEX users_by_default_project ON users (default_project_id);

CREATE INDEX users_by_name ON users (name);

CREATE INDEX roles_by_name ON roles (name);

CREATE INDEX grants_by_target ON grants (target_kind, target_id);

CREATE INDEX grants_by_role ON grants (role_id);

CREATE TABLE application_credentials (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    project_id TEXT NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    description TEXT,
    secret_hash TEXT NOT NULL,
    role_ids TEXT NOT NULL,
    unrestricted BIGINT NOT NULL,
    expires_at BIGINT,
    UNIQUE (user_id, name)
);

CREATE INDEX application_credentials_by_project ON application_credentials (project_id);

-- Tokens that were revoked one by one, by audit id, until they would have expired.
CREATE TABLE revoked_tokens (
    audit_id TEXT PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

CREATE INDEX revoked_tokens_by_end ON revoked_tokens (expires_at);

CREATE TABLE regions (
    id TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    parent_region_id TEXT,
    extra TEXT NOT NULL
);

-- The URL of an endpoint may hold $(public_url)s, $(project_id)s, $(tenant_id)s and $(user_id)s.
CREATE TABLE services (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    extra TEXT NOT NULL
);

CREATE TABLE endpoints (
    id TEXT PRIMARY KEY,
    service_id TEXT NOT NULL REFERENCES services (id),
    interface TEXT NOT NULL,
    url TEXT NOT NULL,
    region_id TEXT,
    enabled BIGINT NOT NULL,
    name TEXT NOT NULL,
    extra TEXT NOT NULL
);

CREATE INDEX endpoints_by_service ON endpoints (service_id);
