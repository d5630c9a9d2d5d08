-- The policy that holds for all processes of this database: the newest revision counts, and is empty where the policy was withdrawn. A few
-- older ones are kept for whoever cannot read the newest.
CREATE TABLE published_policies (
    revision BIGINT PRIMARY KEY,
    published_at BIGINT NOT NULL,
    content TEXT NOT NULL
);
