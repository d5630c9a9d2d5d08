//! What a first start makes: people with passwords, the catalog, flavors, an image. All of it in one transaction, so that a cloud has begun or
//! has not; of several processes that try at once, one does it. The passwords exist nowhere else than in what this gives: whoever starts
//! the cloud puts them into a safe place before the commit.

use std::sync::Arc;

use super::Cloud;
use crate::api::endpoint::Error;
use crate::backlog::Share;
use crate::blobs::BadBlobKey;
use crate::compute;
use crate::identity::bootstrap::{self, Login, Newcomer};
use crate::identity::secret::generate_password;
use crate::image;
use crate::image::bootstrap::FirstImage;
use crate::model::ids::{ImageId, UserId};
use crate::model::moment::Moment;
use crate::store::{Tx, identity, identity_admin};

/// A first start that is not committed yet.
pub struct Beginning {
    newcomers: Vec<Newcomer>,
    logins: Vec<Login>,
    moment: Moment,
}

impl Beginning {
    /// The ways in that there will be.
    pub fn logins(&self) -> &[Login] {
        &self.logins
    }
}

impl Cloud {
    /// What a first start is going to make; `None` where the cloud was started before.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn beginning(self: &Arc<Self>) -> Result<Option<Beginning>, String> {
        let begun = self.store.read(bootstrap::has_begun).await.map_err(|error| format!("{error:?}"))?;
        if begun {
            return Ok(None);
        }
        let mut moment = Moment::new(self.now(), self.fresh_seed());
        let (mut logins, mut newcomers) = (Vec::new(), Vec::new());
        for (name, role) in [("admin", "admin"), ("demo", "member")] {
            let password = generate_password(&mut |bytes| self.fill_with_chance(bytes));
            let hashing = self.passwords.hash(Share::OWN, password.clone(), &mut |bytes| self.fill_with_chance(bytes));
            let password_hash = hashing.await.map_err(|error| error.to_string())?;
            let user = UserId::from_random(moment.id());
            newcomers.push(Newcomer { name, role, user: user.clone(), password_hash });
            logins.push(Login { name, user, password });
        }
        Ok(Some(Beginning { newcomers, logins, moment }))
    }

    /// Makes what a first start makes; false where another process has done so meanwhile, and nothing of this is kept.
    ///
    /// # Errors
    /// A sentence for the operator. What came of it may be unknown then; `has_made` tells.
    pub async fn begin_with(self: &Arc<Self>, beginning: Beginning) -> Result<bool, String> {
        let Beginning { newcomers, moment, .. } = beginning;
        let region = self.settings.region.clone();
        let image = self.write_first_image().await?;
        let script = move |tx: &mut dyn Tx| {
            if bootstrap::has_begun(tx).map_err(Error::from)? {
                return Ok(false);
            }
            bootstrap::begin(tx, &mut moment.clone(), &newcomers, &region).map_err(Error::from)?;
            let owner = identity::active_project_named(tx, "admin", "default")?.map(|project| project.id);
            if let Some(owner) = owner {
                image::bootstrap::begin(tx, &image, owner, moment.now).map_err(Error::from)?;
            }
            compute::bootstrap::begin(tx, moment.now).map_err(Error::from)?;
            Ok::<_, Error>(true)
        };
        self.store.write(script).await.map_err(|error| format!("{error:?}"))
    }

    /// Makes what every cloud has, if this is its first start; gives the ways in that it made.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn begin(self: &Arc<Self>) -> Result<Vec<Login>, String> {
        let Some(beginning) = self.beginning().await? else { return Ok(Vec::new()) };
        let logins = beginning.logins.clone();
        Ok(if self.begin_with(beginning).await? { logins } else { Vec::new() })
    }

    /// Whether there is this user: whether the first start that would have made it was committed.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn has_made(&self, user: UserId) -> Result<bool, String> {
        let looking = self.store.read(move |tx: &mut dyn Tx| identity_admin::has_user(tx, &user));
        looking.await.map_err(|error| error.to_string())
    }

    /// Writes the data of the first image. Where its record does not follow, the sweep of the next start removes it.
    async fn write_first_image(&self) -> Result<FirstImage, String> {
        let id = ImageId::from_random(self.fresh_seed());
        let key = ImageId::from_random(self.fresh_seed()).to_string();
        let blob = key.parse().map_err(|error: BadBlobKey| error.to_string())?;
        let data = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(image::bootstrap::disk())]);
        let written = self.blobs.write(&blob, data, u64::MAX).await.map_err(|error| error.to_string())?;
        Ok(FirstImage { id, blob: key, written })
    }
}
