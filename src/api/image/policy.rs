//! The rules of Image (glance/policies/image.py), by Glance's names, and who may know of an image.

use crate::model::image::{Image, ImageOf};
use crate::policy::Action;

/// Who may know that the target of a rule is there.
trait Known {
    const BY: Option<&'static str>;
}

/// Whoever may not see an image is not told by a 403 that it is there (glance/api/v2/policy.py, `ImageAPIPolicy._enforce`).
impl Known for Image {
    const BY: Option<&'static str> = Some("get_image");
}

/// An image that is not there yet is no secret.
impl Known for ImageOf {
    const BY: Option<&'static str> = None;
}

macro_rules! rule {
    ($(#[$doc:meta])* $name:ident on $target:ty, $rule:literal, $default:expr, $words:literal) => {
        $(#[$doc])*
        pub struct $name;

        impl Action for $name {
            const RULE: &'static str = $rule;
            const DEFAULT: &'static str = $default;
            const DOC: &'static str = $words;
            const KNOWN_BY: Option<&'static str> = <$target as Known>::BY;
            type Target = $target;
        }
    };
}

const ADMIN: &str = "rule:context_is_admin";
const ADMIN_OR_MEMBER: &str = "rule:context_is_admin or (role:member and project_id:%(project_id)s)";
const ADMIN_OR_READER: &str = "rule:context_is_admin or (role:reader and project_id:%(project_id)s)";
const ADMIN_OR_CREATOR: &str =
    "rule:context_is_admin or (role:member and project_id:%(project_id)s and project_id:%(owner)s)";
const ADMIN_OR_READER_OF_ANY: &str = "rule:context_is_admin or (role:reader and (project_id:%(project_id)s or \
     project_id:%(member_id)s or 'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s))";
const ADMIN_OR_MEMBER_OF_ANY: &str = "rule:context_is_admin or (role:member and (project_id:%(project_id)s or \
     project_id:%(member_id)s or 'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s))";
const ADMIN_OR_READER_OR_SHARED: &str =
    "rule:context_is_admin or role:reader and (project_id:%(project_id)s or project_id:%(member_id)s)";
const ADMIN_OR_SHARED: &str = "rule:context_is_admin or (role:member and project_id:%(member_id)s)";

rule!(
    /// Making a record.
    AddImage on ImageOf, "add_image", ADMIN_OR_CREATOR, "Create new image"
);
rule!(
    /// Deleting.
    DeleteImage on Image, "delete_image", ADMIN_OR_MEMBER, "Deletes the image"
);
rule!(
    /// Showing. Who may not learns nothing of the image.
    GetImage on Image, "get_image", ADMIN_OR_READER_OF_ANY, "Get specified image"
);
rule!(
    /// Listing.
    GetImages on ImageOf, "get_images", ADMIN_OR_READER, "Get all available images"
);
rule!(
    /// Changing.
    ModifyImage on Image, "modify_image", ADMIN_OR_MEMBER, "Updates given image"
);
rule!(
    /// Making an image public.
    PublicizeImage on Image, "publicize_image", ADMIN, "Publicize given image"
);
rule!(
    /// Making an image public from the start.
    PublicizeNewImage on ImageOf, "publicize_image", ADMIN, "Publicize given image"
);
rule!(
    /// Opening an image to those who know its id.
    CommunitizeImage on Image, "communitize_image", ADMIN_OR_MEMBER, "Communitize given image"
);
rule!(
    /// Opening an image to those who know its id from the start.
    CommunitizeNewImage on ImageOf, "communitize_image", ADMIN_OR_MEMBER, "Communitize given image"
);
rule!(
    /// Downloading.
    DownloadImage on Image, "download_image", ADMIN_OR_MEMBER_OF_ANY, "Downloads given image"
);
rule!(
    /// Uploading.
    UploadImage on Image, "upload_image", ADMIN_OR_MEMBER, "Uploads data to specified image"
);
rule!(
    /// Sharing.
    AddMember on Image, "add_member", ADMIN_OR_MEMBER, "Create image member"
);
rule!(
    /// Ending sharing.
    DeleteMember on Image, "delete_member", ADMIN_OR_MEMBER, "Delete image member"
);
rule!(
    /// Showing one with whom an image is shared.
    GetMember on Image, "get_member", ADMIN_OR_READER_OR_SHARED, "Show image member details"
);
rule!(
    /// Listing those with whom an image is shared.
    GetMembers on Image, "get_members", ADMIN_OR_READER_OR_SHARED, "List image members"
);
rule!(
    /// Answering an offer to share.
    ModifyMember on Image, "modify_member", ADMIN_OR_SHARED, "Update image member"
);
rule!(
    /// Withholding data.
    Deactivate on Image, "deactivate", ADMIN_OR_MEMBER, "Deactivate image"
);
rule!(
    /// Giving it out again.
    Reactivate on Image, "reactivate", ADMIN_OR_MEMBER, "Reactivate image"
);
