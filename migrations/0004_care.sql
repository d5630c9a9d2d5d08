-- How far an import has come: one row while it is under way. A database that has one is not served.
CREATE TABLE import_progress (
    id BIGINT PRIMARY KEY,
    lines BIGINT NOT NULL,
    digest TEXT NOT NULL
);
