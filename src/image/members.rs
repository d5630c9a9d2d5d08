//! With whom an image is shared, and what they say to it.

use super::{Error, MemberDeed};
use crate::model::ids::ProjectId;
use crate::model::image::{Image, ImageMember, MemberStatus, Visibility};
use crate::model::time::Timestamp;
use crate::policy::Caller;
use crate::store::{Tx, images};

/// With as many projects may an image be shared (Glance's `image_member_quota`).
pub const MEMBERS_MAX: usize = 128;

/// Offers an image to a project.
///
/// # Errors
/// Where it is not shared, is offered to the project already, or to too many.
pub fn add(tx: &mut dyn Tx, image: &Image, member_id: ProjectId, now: Timestamp) -> Result<ImageMember, Error> {
    shared(image, MemberDeed::Create)?;
    if images::member(tx, image.id, &member_id)?.is_some() {
        return Err(Error::MemberExists { member: member_id.to_string(), image: image.id });
    }
    let attempted = images::members(tx, image.id)?.len() + 1;
    if attempted > MEMBERS_MAX {
        return Err(Error::TooManyMembers(image.id, attempted));
    }
    let status = MemberStatus::Pending;
    let member = ImageMember { image_id: image.id, member_id, status, created_at: now, updated_at: now };
    images::insert_member(tx, &member)?;
    Ok(member)
}

/// Those of the members of whom the caller may know: the owner of all, a member of itself.
///
/// # Errors
/// Where the image is not shared.
pub fn list(tx: &mut dyn Tx, image: &Image, who: &Caller) -> Result<Vec<ImageMember>, Error> {
    shared(image, MemberDeed::List)?;
    let mut members = images::members(tx, image.id)?;
    members.retain(|member| is_known(image, &member.member_id, who));
    Ok(members)
}

/// One of the members of whom the caller may know.
///
/// # Errors
/// Where the image is not shared, or not with this project.
pub fn find(
    tx: &mut dyn Tx,
    image: &Image,
    member: &str,
    who: &Caller,
    deed: MemberDeed,
) -> Result<ImageMember, Error> {
    shared(image, deed)?;
    let absent = || Error::NoSuchMember { member: member.to_owned(), image: image.id };
    let id: ProjectId = member.parse().map_err(|_| absent())?;
    if !is_known(image, &id, who) {
        return Err(absent());
    }
    images::member(tx, image.id, &id)?.ok_or_else(absent)
}

/// Notes what a member says.
///
/// # Errors
/// The store's.
pub fn answer(
    tx: &mut dyn Tx,
    mut member: ImageMember,
    status: MemberStatus,
    now: Timestamp,
) -> Result<ImageMember, Error> {
    images::save_member_status(tx, member.image_id, &member.member_id, status, now)?;
    member.status = status;
    member.updated_at = now;
    Ok(member)
}

/// Ends sharing with a member.
///
/// # Errors
/// The store's.
pub fn remove(tx: &mut dyn Tx, member: &ImageMember) -> Result<(), Error> {
    images::delete_member(tx, member.image_id, &member.member_id)?;
    Ok(())
}

fn shared(image: &Image, deed: MemberDeed) -> Result<(), Error> {
    if image.visibility == Visibility::Shared { Ok(()) } else { Err(Error::NotShared(deed, image.id)) }
}

fn is_known(image: &Image, member: &ProjectId, who: &Caller) -> bool {
    who.is_admin || who.is_in(&image.owner) || who.is_in(member)
}
