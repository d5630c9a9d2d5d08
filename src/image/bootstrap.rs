//! What Image has from the first start: one small public image, so that a server can be made before anybody has uploaded anything.

use bytes::Bytes;

use super::{Error, data, records};
use crate::blobs::Written;
use crate::model::ids::{ImageId, ProjectId};
use crate::model::image::{Image, Visibility};
use crate::model::time::Timestamp;
use crate::store::Tx;
use crate::store::tasks::Lease;

/// The name of the image.
pub const NAME: &str = "kilonova-test";
/// As many bytes has its data.
const BYTES: usize = 8192;

/// The data of the image: a disk of sixteen sectors. Its first one halts whatever boots from it.
pub fn disk() -> Bytes {
    let mut disk = vec![0; BYTES];
    disk[..4].copy_from_slice(&[0xfa, 0xf4, 0xeb, 0xfd]); // cli; hlt; and again
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk.into()
}

/// The first image, whose data lies under this key already.
pub struct FirstImage {
    /// Its id.
    pub id: ImageId,
    /// The key of its data.
    pub blob: String,
    /// What has been written there.
    pub written: Written,
}

/// Makes the image of the first start.
///
/// # Errors
/// The store's.
pub fn begin(tx: &mut dyn Tx, first: &FirstImage, owner: ProjectId, now: Timestamp) -> Result<(), Error> {
    let image = Image {
        name: Some(NAME.to_owned()),
        visibility: Visibility::Public,
        disk_format: Some("raw".to_owned()),
        container_format: Some("bare".to_owned()),
        ..records::queued(first.id, owner, now)
    };
    records::create(tx, &image)?;
    let nobody = Lease { owner: "", now: 0, until: 0 };
    data::begin_upload(tx, image, &first.blob, nobody, now)?;
    data::finish_upload(tx, first.id, &first.blob, &first.written, now)
}
