-- Uploads of image data under way, by the key of the data: whose they are and until when nobody else gives them up. A crash leaves the row.
CREATE TABLE uploads (
    blob TEXT PRIMARY KEY,
    image_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    lease_until BIGINT NOT NULL
);

-- What an older release has left unfinished is anybody's to give up. Data of snapshots has longer keys, and its tasks see to it.
INSERT INTO uploads (blob, image_id, owner, lease_until)
    SELECT blob, id, '', 0 FROM images WHERE status = 'saving' AND length(blob) = 36;

-- Whether data belongs to an image is asked for every blob there is.
CREATE INDEX images_by_blob ON images (blob);
